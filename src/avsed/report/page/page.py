"""Render the results page: one self-contained HTML file without network access."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from avsed.evaluation.metrics import F1_AVERAGES
from avsed.params import Params
from avsed.report.page.analysis import Analysis, ClassScores
from avsed.report.page.example_clips import WITH_VISION, WITHOUT_VISION, ExampleClip
from avsed.report.rows import (
    PAPER_TABLE_3,
    TITLES,
    Row,
    describe_setup,
    has_random_weights,
    with_deviation,
    with_ends,
)
from avsed.variants import ZERO_SHOT, uses_strong

F1_TITLES = {"clip_f1": "clip F1", "segment_f1": "segment F1", "event_f1": "event F1"}

_REASONS = {
    "best": "Best",
    "worst": "Worst",
    "gain": "Gain from vision",
    "loss": "Loss from vision",
}


@dataclass(frozen=True, kw_only=True)
class Content:
    """Content of the page.

    Attributes:
        rows: variant to its row of the table.
        classes: K labels.
        class_scores: variant to F1 score to its classes.
        analyses: variant to its errors.
        svgs: figure to its SVG, which is not escaped again.
        clips: the example clips, each with its SVG.
    """

    rows: Mapping[str, Row]
    classes: Sequence[str]
    class_scores: Mapping[str, Mapping[str, ClassScores]]
    analyses: Mapping[str, Analysis]
    svgs: Mapping[str, str]
    clips: Sequence[tuple[ExampleClip, str]]


def render_page(content: Content, params: Params) -> str:
    """Render the page as HTML; names of classes and clips are escaped.

    Args:
        content: results and figures.
        params: the set-up.
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["with_deviation"] = with_deviation
    environment.filters["with_ends"] = with_ends
    environment.tests["nan"] = math.isnan
    template = files("avsed.report.page").joinpath("page.html").read_text("utf-8")
    page = environment.from_string(template).render(
        vars(content),
        setup=describe_setup(params, content.rows),
        random_weights=has_random_weights(params, content.rows),
        # The paper's numbers cannot be compared with those of a user's own clips.
        with_paper=params.dataset.source != "local",
        tuned=params.evaluation.thresholds == "tuned",
        n_best=params.evaluation.n_best,
        n_seeds=params.train.n_seeds,
        segment_length=params.evaluation.segment_length,
        titles=TITLES,
        with_strong=any(map(uses_strong, content.rows)),
        zero_shot=ZERO_SHOT,
        f1_titles=F1_TITLES,
        paper={
            variant: dict(zip(F1_AVERAGES, scores, strict=True))
            for variant, scores in PAPER_TABLE_3.items()
        },
        with_vision=WITH_VISION,
        without_vision=WITHOUT_VISION,
        reasons=_REASONS,
    )
    return page + "\n"
