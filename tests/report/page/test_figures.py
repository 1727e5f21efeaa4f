"""Figures of the results page."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from avsed.dataset.annotations import Event
from avsed.report.page.analysis import ClassScores, Timeline
from avsed.report.page.figures import INK, draw_class_f1, draw_clip, draw_curves, save_png, to_svg

HOSTILE = "<script>$alert$(1)</script> & co"
CLASSES = ("Cat", "Dog", HOSTILE)
A_CAT = Event(onset=2.0, offset=4.0, label="Cat")


def timeline(*events: Event) -> Timeline:
    return Timeline(events=(events, ()), frame_scores=np.full((151, 3), 0.5))


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_a_clip_shows_all_variants_of_an_annotated_class_and_of_others_those_that_found_it() -> (
    None
):
    found = {
        "spectral": timeline(A_CAT),
        "visual": timeline(Event(onset=1.0, offset=2.0, label="Dog")),
        "auditory": None,
    }
    svg = to_svg(draw_clip([A_CAT], found, CLASSES, duration=10.0), "clip")
    drawn = [text for text in texts(svg) if not re.fullmatch(r"\d+|seconds", text)]
    names = ["annotated", "spectral", "visual", "auditory"]
    assert sorted(drawn) == sorted([*names, "no scores", "visual", "Cat", "Dog"])


def test_names_are_text_and_neither_markup_nor_formulas() -> None:
    event = Event(onset=0.0, offset=1.0, label=HOSTILE)
    svg = to_svg(draw_clip([event], {"visual": timeline()}, CLASSES, duration=1.0), "clip")
    assert "<script" not in svg
    assert "&lt;script&gt;$alert$(1)&lt;/script&gt; &amp; co" in texts(svg)


def test_the_ids_of_two_figures_in_a_page_differ() -> None:
    figures = [draw_clip([A_CAT], {"visual": timeline()}, CLASSES, duration=10.0) for _ in "ab"]
    one, other = (
        set(re.findall(r' id="([^"]*)"', to_svg(figure, prefix)))
        for figure, prefix in zip(figures, ("one", "other"), strict=True)
    )
    assert one
    assert not one & other


def test_what_a_figure_refers_to_is_in_it() -> None:
    svg = to_svg(draw_clip([A_CAT], {"visual": timeline()}, CLASSES, duration=10.0), "clip")
    referred = set(re.findall(r'href="#([^"]*)"', svg)) | set(re.findall(r"url\(#([^)]*)\)", svg))
    assert referred
    assert referred <= set(re.findall(r' id="([^"]*)"', svg))


def test_lines_and_text_have_the_color_of_the_page() -> None:
    svg = to_svg(draw_clip([A_CAT], {"visual": timeline()}, CLASSES, duration=10.0), "clip")
    assert "currentColor" in svg
    assert INK not in svg


def test_a_class_without_events_leaves_a_gap() -> None:
    f1 = np.array([50.0, math.nan, 0.0])
    scores = {"visual": {"clip_f1": ClassScores(mean=f1, lowest=f1, highest=f1)}}
    (axes,) = draw_class_f1(scores, CLASSES, {"clip_f1": "clip F1"}).axes
    marks = axes.lines[0].get_xdata()
    np.testing.assert_array_equal(marks, f1)


def test_the_layout_has_no_digits_that_differ_from_run_to_run() -> None:
    found = {"visual": timeline(A_CAT, Event(onset=1.0, offset=2.0, label="Dog"))}
    for axes in draw_clip([A_CAT], found, CLASSES, duration=10.0).axes:
        bounds = axes.get_position().bounds
        assert bounds == pytest.approx(np.round(bounds, 4), abs=1e-12)


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_same_numbers_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    def draw() -> bytes:
        figure = draw_curves(
            {"visual": {"cost": ([1, 2], [0.5, 0.25])}, "auditory": {"cost": ([1], [0.5])}}
        )
        if suffix == "svg":
            return to_svg(figure, "curves").encode()
        save_png(figure, tmp_path / "curves.png")
        return (tmp_path / "curves.png").read_bytes()

    assert draw() == draw()
