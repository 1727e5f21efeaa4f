"""Learning curves: one for each seed, and their mean, which DVC draws."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from avsed.runtime.files import name_disk_errors


class Point(NamedTuple):
    """Costs of Section 2.3, averaged over the steps since the previous point.

    Attributes:
        step: number of steps taken.
        classification_cost: cost of the weak clips.
        consistency_cost: cost of all clips, without its weight.
        strong_cost: cost of the strong clips, without its weight; None without strong clips.
    """

    step: int
    classification_cost: float
    consistency_cost: float
    strong_cost: float | None = None


Curve = Sequence[Point]


def mean_curve(curves: Sequence[Curve]) -> list[Point]:
    """Average the curves of several seeds, whose points have the same steps."""
    return [
        Point(
            points[0].step,
            fmean(point.classification_cost for point in points),
            fmean(point.consistency_cost for point in points),
            _mean([point.strong_cost for point in points]),
        )
        for points in zip(*curves, strict=True)
    ]


def _mean(costs: Sequence[float | None]) -> float | None:
    present = [cost for cost in costs if cost is not None]
    return fmean(present) if present else None


def curve_to_json(curve: Curve) -> str:
    """Convert a curve to JSON, which is stored with the seed's weights."""
    return json.dumps([[value for value in point if value is not None] for point in curve])


def curve_from_json(text: str) -> list[Point]:
    """Read a curve from the JSON of `curve_to_json`."""
    return [Point(*values) for values in json.loads(text)]


@contextmanager
def open_curve(folder: Path) -> Iterator[Callable[[Point], None]]:
    """Replace a variant's curve by an empty one, and yield a function that appends a point.

    DVCLive writes <folder>/plots/metrics/<cost>.tsv. DVC and its extension for VS Code draw these
    files, also during training.
    """
    from dvclive.live import Live  # here, as it takes a second to import

    shutil.rmtree(folder, ignore_errors=True)
    with (
        name_disk_errors(folder),
        Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live,
    ):

        def append(point: Point) -> None:
            live.step = point.step
            for name, value in point._asdict().items():
                if name != "step" and value is not None:
                    live.log_metric(name, value)

        yield append
