"""Learning curves: kept by seed, and drawn by DVC as the mean over a variant's seeds."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from avsed.runtime.files import name_disk_errors


class Point(NamedTuple):
    """Costs of Section 2.3, averaged over the steps since the point before.

    Attributes:
        step: steps taken.
        classification_cost: of the weak clips.
        consistency_cost: of all clips, before its weight.
    """

    step: int
    classification_cost: float
    consistency_cost: float


Curve = Sequence[Point]


def mean_curve(curves: Sequence[Curve]) -> list[Point]:
    """Average the curves of several seeds, which have the same steps."""
    return [
        Point(
            points[0].step,
            fmean(point.classification_cost for point in points),
            fmean(point.consistency_cost for point in points),
        )
        for points in zip(*curves, strict=True)
    ]


def curve_to_json(curve: Curve) -> str:
    """Write a curve as text, to be kept beside a seed's weights."""
    return json.dumps(curve)


def curve_from_json(text: str) -> list[Point]:
    """Read what `curve_to_json` wrote."""
    return [Point(*values) for values in json.loads(text)]


@contextmanager
def open_curve(folder: Path) -> Iterator[Callable[[Point], None]]:
    """Start a variant's curve anew; yields what appends a point to it.

    DVCLive writes it as <folder>/plots/metrics/<cost>.tsv, which DVC and its extension for VS Code
    draw, also while it grows.
    """
    from dvclive.live import Live  # takes a second, and most of avsed can do without

    shutil.rmtree(folder, ignore_errors=True)
    with (
        name_disk_errors(folder),
        Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None) as live,
    ):

        def append(point: Point) -> None:
            live.step = point.step
            for name, value in point._asdict().items():
                if name != "step":
                    live.log_metric(name, value)

        yield append
