"""The network of `model/crnn.py` as nodes of an ONNX graph (Sections 2.1 and 3).

PyTorch's exporters trace the network with example features, whose number of clips or frames may end
up as a constant of the graph. Here each layer is a node, and no node has a number of clips or
frames.
"""

from collections.abc import Mapping
from typing import cast

import torch
from onnx import TensorProto
from torch import Tensor, nn

from avsed.export.graph import Graph
from avsed.model.crnn import Crnn, SpectralBranch
from avsed.model.gru import BidirectionalGru
from avsed.model.layers import ReluDropoutPool2d


def add_network(graph: Graph, student: Crnn, features: Mapping[str, str]) -> str:
    """Add a student up to its frame scores.

    Args:
        graph: gets the nodes.
        student: trained.
        features: kind to the value with its (B, L, M) spectral or (B, T, dims) pretrained features.

    Returns:
        (B, T, K) frame scores.
    """
    embedded = []
    for kind in student.kinds:
        layers = student.embeddings[kind]
        if isinstance(layers, SpectralBranch):
            embedded.append(_add_spectral_branch(graph, layers, features[kind]))
        else:
            linear = cast(nn.Linear, cast(nn.Sequential, layers)[0])
            embedded.append(graph.add("Relu", _add_linear(graph, linear, features[kind])))
    fused = graph.add("Concat", *embedded, axis=2) if len(embedded) > 1 else embedded[0]
    hidden = _add_gru(graph, student.gru, fused)
    return graph.add("Sigmoid", _add_linear(graph, student.classifier, hidden))


def add_mask(graph: Graph, frame_scores: str, valid_frames: str) -> str:
    """Add the (B, T, 1) mask of valid frames: 1, or 0 for padding."""
    n_frames = graph.add("Shape", frame_scores, start=1, end=2)
    last = graph.add("Squeeze", n_frames)
    frames = graph.add("Range", graph.constant(0), last, graph.constant(1))  # (T,)
    n_valid = graph.add("Unsqueeze", valid_frames, graph.constant([1, 2]))  # (B, 1, 1)
    column = graph.add("Unsqueeze", frames, graph.constant([0, 2]))  # (1, T, 1)
    return graph.add("Cast", graph.add("Less", column, n_valid), to=TensorProto.FLOAT)


def add_linear_pool(graph: Graph, frame_scores: str, mask: str | None) -> str:
    """Add `linear_pool`: (B, K) clip scores from (B, T, K) frame scores and their mask, if any."""
    counted = graph.add("Mul", frame_scores, mask) if mask else frame_scores
    squares = graph.add("ReduceSumSquare", counted, axes=[1], keepdims=0)
    total = graph.add("ReduceSum", counted, graph.constant([1]), keepdims=0)
    smallest = graph.constant(torch.tensor(torch.finfo(torch.float32).tiny))
    return graph.add("Div", squares, graph.add("Max", total, smallest))


def _add_spectral_branch(graph: Graph, branch: SpectralBranch, log_mel: str) -> str:
    """Embed (B, L, M) spectral frames as (B, T, 128)."""
    centered = graph.add("Sub", log_mel, graph.constant(branch.mean))
    standardized = graph.add("Div", centered, graph.constant(branch.deviation))
    maps = graph.add("Unsqueeze", standardized, graph.constant([1]))  # (B, 1, L, M)
    for layer in branch.blocks:
        maps = _add_layer(graph, layer, maps)
    return graph.add("Transpose", graph.add("Squeeze", maps, graph.constant([3])), perm=[0, 2, 1])


def _add_layer(graph: Graph, layer: nn.Module, maps: str) -> str:
    """Add a layer of a convolutional block."""
    if isinstance(layer, nn.Conv2d):
        weights = [graph.constant(layer.weight), graph.constant(cast(Tensor, layer.bias))]
        return graph.add("Conv", maps, *weights, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    if isinstance(layer, nn.BatchNorm2d):
        statistics = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
        values = [graph.constant(cast(Tensor, statistic)) for statistic in statistics]
        return graph.add("BatchNormalization", maps, *values, epsilon=layer.eps)
    if isinstance(layer, ReluDropoutPool2d):
        size = list(layer.pooling)
        return graph.add("AveragePool", graph.add("Relu", maps), kernel_shape=size, strides=size)
    raise ValueError(f"a convolutional block has a layer {type(layer).__name__}")


def _add_gru(graph: Graph, gru: BidirectionalGru, inputs: str) -> str:
    """Compute (B, T, 2 x hidden) outputs from (B, T, inputs)."""
    hidden = graph.add("Transpose", inputs, perm=[1, 0, 2])  # (T, B, inputs), as ONNX wants it
    both = graph.constant([0, 0, 2 * gru.hidden_size])  # 0: as before
    for layer in range(gru.num_layers):
        weights = [
            graph.constant(_of_both_directions(gru, layer, *names))
            for names in (["weight_ih"], ["weight_hh"], ["bias_ih", "bias_hh"])
        ]
        outputs = graph.add(
            "GRU",
            *(hidden, *weights),
            hidden_size=gru.hidden_size,
            direction="bidirectional",
            linear_before_reset=1,  # as in PyTorch: the reset gate multiplies W h + b, not h
        )  # (T, 2, B, hidden)
        hidden = graph.add("Reshape", graph.add("Transpose", outputs, perm=[0, 2, 1, 3]), both)
    return graph.add("Transpose", hidden, perm=[1, 0, 2])


def _of_both_directions(gru: BidirectionalGru, layer: int, *names: str) -> Tensor:
    """Stack the weights of both directions, in the order of ONNX's gates."""
    of_directions = []
    for suffix in ("", "_reverse"):
        weights = [getattr(gru, f"{name}_l{layer}{suffix}") for name in names]
        of_directions.append(torch.cat([_reorder_gates(weight) for weight in weights]))
    return torch.stack(of_directions)


def _reorder_gates(weight: Tensor) -> Tensor:
    """Change PyTorch's order of the gates (reset, update, new) to ONNX's (update, reset, new)."""
    reset, update, new = weight.chunk(3)
    return torch.cat([update, reset, new])


def _add_linear(graph: Graph, linear: nn.Linear, inputs: str) -> str:
    product = graph.add("MatMul", inputs, graph.constant(linear.weight.T))
    return graph.add("Add", product, graph.constant(linear.bias))
