"""Write a trained variant as one ONNX file."""

from pathlib import Path

from onnx import ModelProto, TensorProto

from avsed.errors import AvsedError
from avsed.export.check import require_same_scores
from avsed.export.front_end import add_log_mel
from avsed.export.graph import Graph
from avsed.export.metadata import describe_variant
from avsed.export.network import add_linear_pool, add_mask, add_network
from avsed.export.variant import Variant, load_variant, spectral_params
from avsed.runtime.files import atomic_write


def write_onnx(
    model_dir: Path, path: Path, *, seed: int | None = None, from_waveform: bool = False
) -> float:
    """Write a variant as an ONNX file, and compare its scores with PyTorch's.

    Args:
        model_dir: what `train_variant` wrote.
        path: file to write; it is not written if the comparison fails.
        seed: of the only network to export; None for the average of all.
        from_waveform: whether the file takes waveforms instead of spectral features.

    Returns:
        The largest difference of a score between onnxruntime and PyTorch.

    Raises:
        AvsedError: if there is no model, it has no spectral features for `from_waveform`, or
            scores differ.
    """
    variant = load_variant(model_dir, seed)
    content, difference = export_variant(variant, model_dir, from_waveform=from_waveform)
    with atomic_write(path) as part:
        part.write_bytes(content)
    return difference


def export_variant(
    variant: Variant, model_dir: Path, *, from_waveform: bool
) -> tuple[bytes, float]:
    """Return the content of a variant's ONNX file, and the largest difference of a score.

    Raises:
        AvsedError: as `write_onnx` does.
    """
    if from_waveform and "spectral" not in variant.card.kinds:
        raise AvsedError(
            f"--waveform: {model_dir} has no spectral features, only "
            f"{', '.join(variant.card.kinds)}; omit --waveform"
        )
    content = build_model(variant, model_dir, from_waveform=from_waveform).SerializeToString()
    return content, require_same_scores(content, variant, from_waveform=from_waveform)


def build_model(variant: Variant, model_dir: Path, *, from_waveform: bool) -> ModelProto:
    """Build the graph of a variant: the mean scores of its students.

    Its inputs are the features of each kind, (B, L, M) or (B, T, dims), or the waveforms,
    (B, n_samples), and the number of valid frames, (B,). Its outputs are (B, T, K) frame scores
    and (B, K) clip scores.
    """
    card = variant.card
    graph = Graph()
    features = {}
    for kind, dims in zip(card.kinds, card.feature_dims, strict=True):
        if kind == "spectral" and from_waveform:
            waveform = graph.input("waveform", ("clips", "samples"))
            features[kind] = add_log_mel(graph, waveform, spectral_params(card))
        else:
            frames = "spectral_frames" if kind == "spectral" else "frames"
            features[kind] = graph.input(kind, ("clips", frames, dims))
    valid_frames = graph.input("valid_frames", ("clips",), TensorProto.INT64)
    frame_scores = [add_network(graph, one, features) for one in variant.students.values()]
    mask = add_mask(graph, frame_scores[0], valid_frames) if card.mask_padding else None
    clip_scores = [add_linear_pool(graph, scores, mask) for scores in frame_scores]
    graph.add("Mean", *frame_scores, output="frame_scores")
    graph.add("Mean", *clip_scores, output="clip_scores")
    n_classes = len(card.classes)
    return graph.build(
        {"frame_scores": ("clips", "frames", n_classes), "clip_scores": ("clips", n_classes)},
        describe_variant(variant, model_dir),
    )
