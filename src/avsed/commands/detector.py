"""Options of the commands that score media: the model, and how its scores are decided."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from avsed.commands.options import FOLDER
from avsed.errors import AvsedError

if TYPE_CHECKING:
    from avsed.model.decisions import Decisions
    from avsed.prediction.predict import Detector
    from avsed.prediction.trained_model import TrainedModel
    from avsed.zero_shot.detector import ZeroShotDetector


def _parse_weights(
    context: click.Context, parameter: click.Parameter, texts: Sequence[str]
) -> dict[str, Path]:
    weights = {}
    for text in texts:
        kind, _, path = text.partition("=")
        if not path:
            raise click.BadParameter(f"{text!r} is not KIND=PATH, such as auditory=vggish.pth.")
        weights[kind] = Path(path)
    return weights


_OPTIONS = (
    click.option(
        "--model",
        type=FOLDER,
        help="Models of a variant, such as data/models/spectral; the scores of all seeds are "
        "averaged. Default: YAMNet, which needs no training.",
    ),
    click.option(
        "--classes",
        type=click.Choice(["dcase", "audioset"]),
        help="Without --model: the ten classes of DCASE 2018 task 4 (default), or all 521 of "
        "AudioSet.",
    ),
    click.option(
        "--weights",
        metavar="KIND=PATH",
        callback=_parse_weights,
        multiple=True,
        help="Weights of the auditory or visual network, if neither random nor published.",
    ),
    click.option(
        "--threshold", type=float, help="For all scores; default: the model's thresholds."
    ),
    click.option("--median-filter-frames", type=int, help="Odd; default: the model's."),
    click.option(
        "--max-gap", type=float, help="Seconds; up to this, gaps are filled; default: the model's."
    ),
    click.option(
        "--min-event", type=float, help="Seconds; drop shorter events; default: the model's."
    ),
)


def detector_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which gets `open_detector`, a function that loads the model."""

    @wraps(command)
    def with_detector(
        *,
        model: Path | None,
        classes: Literal["dcase", "audioset"] | None,
        weights: Mapping[str, Path],
        threshold: float | None,
        median_filter_frames: int | None,
        max_gap: float | None,
        min_event: float | None,
        **others: Any,
    ) -> None:
        if model and classes:
            raise AvsedError("--classes: a model has its own classes; omit --model or --classes")
        if weights and not model:
            raise AvsedError(
                "--weights: YAMNet's are fixed; name the --model that uses other weights"
            )
        decide_by = _options_for_decisions(
            {
                "threshold": threshold,
                "median_filter_frames": median_filter_frames,
                "max_gap": max_gap,
                "min_event": min_event,
            }
        )
        command(open_detector=lambda: _open_detector(model, classes, weights, decide_by), **others)

    for option in reversed(_OPTIONS):
        with_detector = option(with_detector)
    return with_detector


def _open_detector(
    model_dir: Path | None,
    classes: Literal["dcase", "audioset"] | None,
    weights: Mapping[str, Path],
    decide_by: Mapping[str, float | int],
) -> "Detector":
    """Load a model, or YAMNet without one, and apply the options for decisions."""
    from avsed.runtime.device import keep_freed_memory

    detector: TrainedModel | ZeroShotDetector
    if model_dir:
        from avsed.prediction.trained_model import load_model

        detector = load_model(model_dir, weights)
    else:
        from avsed.zero_shot.detector import load_detector

        detector = load_detector(classes or "dcase")
    keep_freed_memory()  # not before: loading frees weights of other types
    return replace(detector, decisions=_changed(detector.decisions, decide_by))


def _options_for_decisions(options: Mapping[str, float | int | None]) -> dict[str, float | int]:
    """Check the options for decisions; return those that are given.

    Raises:
        AvsedError: if an option is out of range.
    """
    from pydantic import ValidationError

    from avsed.params import PAPER_POSTPROCESS, Postprocess

    given = {name: value for name, value in options.items() if value is not None}
    try:
        Postprocess.model_validate(PAPER_POSTPROCESS.model_dump() | given)
    except ValidationError as error:
        reason = error.errors()[0]
        option = "".join(f"--{name}: " for name in reason["loc"]).replace("_", "-")
        raise AvsedError(f"{option}{reason['msg'].removeprefix('Value error, ')}") from None
    return given


def _changed(decisions: "Decisions", options: Mapping[str, float | int]) -> "Decisions":
    changed: dict[str, object] = dict(options)
    if threshold := changed.pop("threshold", None):
        changed |= dict.fromkeys(("tags", "events"), dict.fromkeys(decisions.tags, threshold))
    return decisions.model_copy(update=changed)
