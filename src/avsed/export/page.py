"""Write a page that runs a trained variant on recordings in a browser."""

import base64
import gzip
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from avsed.errors import AvsedError
from avsed.export.metadata import describe_variant
from avsed.export.npm_package import LICENCE, NAME, VERSION, read_runtime
from avsed.export.onnx_file import export_variant
from avsed.export.variant import Variant, load_variant
from avsed.framing import (
    CLIP_DURATION,
    FRAME_HOP,
    N_FRAMES,
    SPECTRAL_HOP_LENGTH,
    SPECTRAL_SAMPLE_RATE,
    TIME_POOLING,
    n_samples,
)
from avsed.prediction.page import N_POINTS, N_TICKS, TICK_STEPS
from avsed.prediction.windows import AHEAD, WINDOW_HOP
from avsed.runtime.files import atomic_write


def write_page(model_dir: Path, path: Path, *, seed: int | None = None) -> float:
    """Write a page with a variant and all that is needed to run it; it needs no network.

    Args:
        model_dir: what `train_variant` wrote; a model of spectral features only.
        path: page to write.
        seed: of the only network to export; None for the average of all.

    Returns:
        The largest difference of a score between onnxruntime and PyTorch.

    Raises:
        AvsedError: if there is no such model, it has other features, its events are bounding
            boxes, scores differ, or onnxruntime-web cannot be downloaded.
    """
    variant = load_variant(model_dir, seed)
    others = [kind for kind in variant.card.kinds if kind != "spectral"]
    if others:
        raise AvsedError(
            f"{model_dir}: uses {others[0]} features, and a page has no pretrained networks to "
            "compute them; export a model of spectral features only, or write an --onnx file"
        )
    if variant.decisions.method != "median":
        raise AvsedError(
            f"{model_dir}: its events are bounding boxes, which a page does not compute; set "
            "postprocess.method to median, or write an --onnx file"
        )
    content, difference = export_variant(variant, model_dir, from_waveform=True)
    page = _render(variant, model_dir, {"network": content, **read_runtime()})
    with atomic_write(path) as part:
        part.write_text(page, "utf-8")
    return difference


def _render(variant: Variant, model_dir: Path, parts: Mapping[str, bytes]) -> str:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    here = files("avsed.export")
    metadata = describe_variant(variant, model_dir)
    return environment.from_string(here.joinpath("page.html").read_text("utf-8")).render(
        title=f"Sound events by {model_dir.resolve().name}",
        style=files("avsed.prediction").joinpath("timelines.css").read_text("utf-8"),
        classes=variant.card.classes,
        metadata=metadata,
        runtime=f"{NAME} {VERSION}",
        runtime_licence=LICENCE,
        model=_describe_model(variant),
        # The time of the file must not be in it: the same model gives the same page.
        parts={
            part: base64.b64encode(gzip.compress(content, mtime=0)).decode()
            for part, content in parts.items()
        },
        scripts="".join(
            here.joinpath(name).read_text("utf-8")
            for name in ("sound.js", "detector.js", "page.js")
        ),
    )


def _describe_model(variant: Variant) -> dict[str, object]:
    """Return what the page's scripts know of the model and of the time grid."""
    return {
        "classes": variant.card.classes,
        "decisions": variant.decisions.model_dump(mode="json"),
        "sampleRate": SPECTRAL_SAMPLE_RATE,
        "frameHop": FRAME_HOP,
        "samplesPerFrame": TIME_POOLING * SPECTRAL_HOP_LENGTH,
        "windows": {
            "frames": N_FRAMES,
            "samples": n_samples(CLIP_DURATION, SPECTRAL_SAMPLE_RATE),
            "hop": WINDOW_HOP,
            "ahead": AHEAD,
        },
        "drawing": {"nPoints": N_POINTS, "nTicks": N_TICKS, "tickSteps": TICK_STEPS},
    }
