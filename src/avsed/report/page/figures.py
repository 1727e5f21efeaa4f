"""Draw the figures of the results page, as SVG for the page and as PNG for DVC.

The same numbers give the same bytes, because DVC compares checksums.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from avsed.dataset.annotations import Event
from avsed.framing import FRAME_HOP
from avsed.report.page.analysis import Analysis, ClassScores, Timeline
from avsed.report.page.boundary_errors import BIN_CENTERS
from avsed.runtime.files import atomic_write

# Variant and cost to steps and values.
Curves = Mapping[str, Mapping[str, tuple[list[int], list[float]]]]

# Color of text and lines; on the page it is replaced by the current text color, light or dark.
INK = "#1f2328"
# The first seven follow M. Okabe and K. Ito, safe for color blindness; all suit light and dark.
_COLORS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c8c8c", "#56b4e9", "#e69f00"),
    *("#7b61d1", "#9a9a00"),
)
_ANNOTATED = "annotated"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_STYLE: Any = {  # matplotlib's stubs require literal keys
    "font.size": 9,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "avsed",  # without it, ids differ from run to run
    "text.parse_math": False,  # class names may contain dollar signs
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
    **dict.fromkeys(("axes.facecolor", "figure.facecolor", "legend.facecolor"), "none"),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "grid.color": "#8c8c8c55",
    "legend.frameon": False,
}


def _looks() -> Iterator[tuple[str, str]]:
    """Iterate over unique pairs of color and marker."""
    return zip(cycle(_COLORS), cycle(_MARKERS), strict=True)


def to_svg(figure: Figure, id_prefix: str) -> str:
    """Render a figure as an SVG element for a page.

    Args:
        figure: the figure.
        id_prefix: makes ids unique among the figures of a page.
    """
    text = io.StringIO()
    with rc_context(_STYLE):
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", metadata=metadata)
    svg = text.getvalue()
    # Change tags only, not class names. Text has no angle brackets, because it is escaped.
    return re.sub("<[^>]*>", lambda tag: _adapt_tag(tag[0], id_prefix), svg[svg.index("<svg") :])


def _adapt_tag(tag: str, id_prefix: str) -> str:
    if tag.startswith("<image"):  # equal images share an id, and nothing refers to it
        tag = re.sub(' id="[^"]*"', "", tag)
    for reference in ('id="', 'href="#', "url(#"):
        tag = tag.replace(reference, f"{reference}{id_prefix}-")
    tag = re.sub(r"(\.\d\d)\d+", r"\1", tag)  # hundredths of a point are enough
    return tag.replace(f": {INK}", ": currentColor")


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG on a white background."""
    with rc_context(_STYLE), atomic_write(path) as part:
        figure.savefig(part, format="png", dpi=100, facecolor="white", metadata={"Software": None})


@rc_context(_STYLE)
def draw_class_f1(
    scores: Mapping[str, Mapping[str, ClassScores]],
    classes: Sequence[str],
    titles: Mapping[str, str],
) -> Figure:
    """Draw the F1 of each class: a dot for the mean, a line from the lowest to the highest seed.

    Args:
        scores: variant to F1 score to its classes.
        classes: K labels.
        titles: of the F1 scores.
    """
    height = 1.2 + 0.11 * len(classes) * (len(scores) + 1)
    figure = Figure(figsize=(10, height), layout="constrained")
    panels = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    steps = np.linspace(-0.38, 0.38, len(scores))
    for axes, (metric, title) in zip(panels, titles.items(), strict=True):
        for step, (color, marker), (variant, by_metric) in zip(
            steps, _looks(), scores.items(), strict=False
        ):
            of_classes = by_metric[metric]
            rows = np.arange(len(classes)) + step
            axes.hlines(rows, of_classes.lowest, of_classes.highest, color, linewidth=1.2)
            axes.plot(of_classes.mean, rows, marker, color=color, markersize=4, label=variant)
        axes.set_title(title)
        axes.set_xlim(-3, 103)
        axes.set_xlabel("%")
        axes.grid(axis="x")
        axes.hlines(np.arange(1, len(classes)) - 0.5, -3, 103, "#8c8c8c55", linewidth=0.8)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(classes)), labels=classes)
    panels[0].set_ylim(len(classes) - 0.5, -0.5)
    _add_legend(figure, panels[0])
    return _settled(figure)


@rc_context(_STYLE)
def draw_segment_errors(analyses: Mapping[str, Analysis]) -> Figure:
    """Draw the error rate of each variant, made up of its three kinds.

    Args:
        analyses: by variant.
    """
    figure = Figure(figsize=(10, 0.9 + 0.3 * len(analyses)), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(analyses))
    left = np.zeros(len(analyses))
    kinds = next(iter(analyses.values())).segment_error_rates
    for color, kind in zip(_COLORS, kinds, strict=False):
        rates = np.array([analysis.segment_error_rates[kind] for analysis in analyses.values()])
        axes.barh(rows, rates, left=left, height=0.7, color=color, label=kind)
        left += rates
    axes.set_yticks(rows, labels=list(analyses))
    axes.set_ylim(len(analyses) - 0.5, -0.5)
    axes.set_xlabel("% of the annotated segments")
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    _add_legend(figure, axes)
    return _settled(figure)


@rc_context(_STYLE)
def draw_boundary_errors(analyses: Mapping[str, Analysis], classes: Sequence[str]) -> Figure:
    """Draw a histogram of onset and one of offset errors for each class and variant.

    Args:
        analyses: by variant.
        classes: K labels.
    """
    height = 1.0 + (0.25 + 0.115 * len(analyses)) * len(classes)
    figure = Figure(figsize=(10, height), layout="constrained")
    panels = figure.subplots(len(classes), 2, sharex=True, sharey=True, squeeze=False)
    half = (BIN_CENTERS[1] - BIN_CENTERS[0]) / 2
    extent = (BIN_CENTERS[0] - half, BIN_CENTERS[-1] + half, len(analyses) - 0.5, -0.5)
    for k, label in enumerate(classes):
        for axes, boundary in zip(panels[k], ("onset", "offset"), strict=True):
            counts = np.array(
                [getattr(analysis, f"{boundary}_errors")[k] for analysis in analyses.values()]
            )
            axes.imshow(_shaded(counts), extent=extent, aspect="auto", interpolation="none")
            axes.axvline(0.0, color=INK, linewidth=0.6, linestyle=":")
            axes.set_title(f"{label}: {boundary}")
        for row, n_matched in enumerate(counts.sum(axis=1)):
            axes.annotate(
                f"{n_matched:.0f}",
                (1.01, row),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=7,
            )
        panels[k, 0].set_yticks(range(len(analyses)), labels=list(analyses), fontsize=7)
        for axes in panels[k]:
            axes.tick_params(axis="y", length=0)
    for axes in panels[-1]:
        axes.set_xticks(
            [-1.1, -0.5, 0.0, 0.5, 1.1], labels=["earlier", "-0.5", "0", "0.5", "later"]
        )
        axes.set_xlabel("seconds: estimated less annotated")
    return _settled(figure)


@rc_context(_STYLE)
def draw_curves(curves: Curves) -> Figure:
    """Draw the costs of training; a variant is missing from the panels of costs it does not have.

    Args:
        curves: of all variants.
    """
    costs = list(dict.fromkeys(cost for by_cost in curves.values() for cost in by_cost))
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(1, len(costs), squeeze=False)[0]
    for axes, cost in zip(panels, costs, strict=True):
        for (color, marker), (variant, by_cost) in zip(_looks(), curves.items(), strict=False):
            if cost not in by_cost:
                continue
            steps, values = by_cost[cost]
            axes.plot(
                steps,
                values,
                color=color,
                marker=marker,
                markersize=4,
                markevery=max(1, len(steps) // 8),
                linewidth=1.2,
                label=variant,
            )
        axes.set_title(cost.replace("_", " "))
        axes.set_xlabel("step")
        axes.grid()
    _add_legend(figure, panels[0])
    return _settled(figure)


@rc_context(_STYLE)
def draw_clip(
    truth: Sequence[Event],
    timelines: Mapping[str, Timeline | None],
    classes: Sequence[str],
    *,
    duration: float,
) -> Figure:
    """Draw the annotated and estimated events of a clip on one time axis.

    An annotated class has a row for each variant. Below them, other classes have a row for each
    variant that estimated them.

    Args:
        truth: annotated events.
        timelines: variant to its timeline; None for a variant without scores of the clip.
        classes: K labels.
        duration: seconds.
    """
    rows = {label: _rows_of_class(label, truth, timelines) for label in classes}
    rows = {label: names for label, names in rows.items() if names}
    rows = dict(sorted(rows.items(), key=lambda row: _ANNOTATED not in row[1]))
    colors = dict(zip(timelines, cycle(_COLORS), strict=False))
    heights = [0.4 + 0.2 * len(names) for names in rows.values()]
    figure = Figure(figsize=(10, 0.6 + sum(heights)), layout="constrained")
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (label, names) in zip(panels, rows.items(), strict=True):
        for row, name in enumerate(names):
            if name == _ANNOTATED:
                _draw_bars(axes, truth, label, middle=row, height=0.8, color=INK)
            elif (timeline := timelines[name]) is None:
                axes.text(0.05, row, "no scores", va="center", fontsize=7)
            else:
                scores = timeline.frame_scores[:, classes.index(label)]
                _shade_scores(axes, scores, row=row, color=colors[name], duration=duration)
                _draw_lanes(axes, timeline, label, row=row, color=colors[name])
        axes.set_title(label)
        axes.set_yticks(range(len(names)), labels=names, fontsize=7)
        axes.set_ylim(len(names) - 0.45, -0.55)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
    panels[-1].set_xlim(0.0, duration)
    panels[-1].set_xlabel("seconds")
    return _settled(figure)


def _rows_of_class(
    label: str, truth: Sequence[Event], timelines: Mapping[str, Timeline | None]
) -> list[str]:
    if any(event.label == label for event in truth):
        return [_ANNOTATED, *timelines]
    return [
        variant
        for variant, timeline in timelines.items()
        if timeline is not None
        and any(event.label == label for events in timeline.events for event in events)
    ]


def _shade_scores(
    axes: Axes, scores: NDArray[np.float64], *, row: int, color: str, duration: float
) -> None:
    """Shade a class's frame scores from 0 to the height of a row; rows go down the page."""
    bottom = row + 0.4
    middles = np.minimum((np.arange(len(scores)) + 0.5) * FRAME_HOP, duration)
    axes.fill_between(middles, bottom, bottom - 0.8 * scores, color=color, alpha=0.3, linewidth=0)


def _draw_lanes(axes: Axes, timeline: Timeline, label: str, *, row: int, color: str) -> None:
    """Draw the events of each seed in a separate lane."""
    height = 0.8 / len(timeline.events)
    for lane, events in enumerate(timeline.events):
        middle = row - 0.4 + height * (lane + 0.5)
        _draw_bars(axes, events, label, middle=middle, height=0.8 * height, color=color)


def _draw_bars(
    axes: Axes, events: Sequence[Event], label: str, *, middle: float, height: float, color: str
) -> None:
    spans = [(event.onset, event.offset - event.onset) for event in events if event.label == label]
    axes.broken_barh(spans, (middle - height / 2, height), facecolors=color)


def _shaded(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Color (n, m) counts relative to their row's maximum; (n, m, 4), transparent where 0."""
    highest = counts.max(axis=1, keepdims=True)
    color = np.empty((*counts.shape, 4))
    color[..., :3] = (0.15, 0.55, 0.9)  # visible on light and dark
    color[..., 3] = np.divide(counts, highest, out=np.zeros_like(counts), where=highest > 0)
    return color


def _settled(figure: Figure) -> Figure:
    """Fix the layout with rounded positions; the solver's last digits differ from run to run."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = np.round(axes.get_position().bounds, 4).tolist()
        axes.set_position((left, bottom, width, height))
    return figure


def _add_legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=4)
