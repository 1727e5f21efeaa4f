"""The results page and the data of its figures, for a small synthetic run."""

import csv
import dataclasses
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from avsed.config import load_params
from avsed.errors import AvsedError
from avsed.model.scores import read_scores
from avsed.params import LocalDataset
from avsed.report.page.analysis import analyze_variant, read_test_set
from avsed.report.page.example_clips import ExampleClip
from avsed.report.page.figure_data import write_learning_curves
from avsed.report.page.page import Content, render_page
from avsed.report.rows import read_results
from tests.conftest import ROOT
from tests.helpers.scored_run import (
    CLASSES,
    HOSTILE,
    VARIANTS,
    illustrate_run,
    write_run,
)

PARAMS = load_params(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, PARAMS)
    illustrate_run(folder, PARAMS)
    return folder


class Page(HTMLParser):
    """Collects tags, and text with a blank for each; tags must be closed in their order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self.open: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " "
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def attributes(self, *names: str) -> Iterator[str]:
        for _, attributes in self.tags:
            for name in names:
                if value := attributes.get(name):
                    yield value


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    return Page(run / "reports" / "index.html")


def read_tsv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def read_clips_found(run: Path) -> Any:
    return json.loads((run / "reports" / "plots" / "clips.json").read_text())


def test_the_page_is_whole_and_has_all_sections(page: Page) -> None:
    assert page.open == []
    ids = list(page.attributes("id"))
    assert len(ids) == len(set(ids))
    assert {"scores", "classes", "errors", "training", "clips"} <= set(ids)
    assert [tag for tag, _ in page.tags].count("svg") == 4 + 2
    for variant in VARIANTS:
        assert variant in page.text
    assert "Random weights" in page.text


def test_the_page_asks_for_nothing_elsewhere(page: Page) -> None:
    for target in page.attributes("href", "xlink:href", "src", "srcset", "data", "action"):
        assert target.startswith(("#", "data:image/png;base64,"))
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "img"}
    for style in [page.style, *page.attributes("style", "fill", "clip-path")]:
        assert "@import" not in style
        assert style.count("url(") == style.count("url(#")


def test_figures_and_tables_are_named_for_those_who_do_not_see_them(page: Page) -> None:
    drawn = [attributes for tag, attributes in page.tags if attributes.get("role") == "img"]
    assert len(drawn) == 4 + 2
    assert all(attributes["aria-label"] for attributes in drawn)
    assert all(attributes.get("scope") for tag, attributes in page.tags if tag == "th")
    assert ("html", {"lang": "en"}) in page.tags


def test_a_hostile_class_is_text_everywhere(run: Path, page: Page) -> None:
    assert "<script" not in (run / "reports" / "index.html").read_text()
    assert HOSTILE in page.text


def test_a_hostile_clip_is_text_everywhere() -> None:
    clip = ExampleClip(reason="best", clip_id=HOSTILE, with_vision=1.0, without_vision=0.0)
    names = ("class_f1", "segment_errors", "boundary_errors", "learning_curves")
    content = Content(
        rows={},
        classes=(),
        class_scores={},
        analyses={},
        svgs=dict.fromkeys(names, ""),
        clips=[(clip, "")],
    )
    page = render_page(content, PARAMS)
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#39;Dog&#39;)&lt;/script&gt;") == 2  # heading, label


def test_scores_stand_beside_the_papers_with_intervals_and_differences(page: Page) -> None:
    text = " ".join(page.text.split())
    # Of three tags two found: F1 4/5; two found and one false: 2/3.
    assert re.search(r" spectral 80\.00 [\d.]+ to [\d.]+ paper 76\.22 ", text)
    assert re.search(r" visual 66\.67 [\d.]+ to [\d.]+ paper 61\.60 ", text)
    assert re.search(r" visual spectral -13\.33 -[\d.]+ to [\d.]+ ", text)


def test_clips_are_those_that_vision_serves_and_fails(run: Path) -> None:
    clips = read_clips_found(run)
    assert [(clip["reason"], clip["clip_id"]) for clip in clips] == [
        ("best", "both"),
        ("worst", "cat"),
    ]
    # Segments: cat 1 and 2, and 0 from a frame that starts at 0.99 s; dog 5 to 7, and 8 likewise.
    assert clips[0]["with_vision"] == pytest.approx(100 * 2 * 5 / (2 * 5 + 2), abs=0.01)
    assert clips[0]["without_vision"] == pytest.approx(100 * 2 * 2 / (2 * 2 + 1 + 3), abs=0.01)
    assert clips[1]["with_vision"] == 0.0
    estimated = clips[1]["estimated"]["visual"]
    assert estimated == [[{"onset": 0.994, "offset": 2.981, "label": HOSTILE}]]


def test_the_f1_of_classes_is_of_the_best_seed_and_its_spread_of_all(run: Path) -> None:
    rows = read_tsv(run / "reports" / "plots" / "class_f1.tsv")
    assert len(rows) == len(VARIANTS) * 3 * 2
    # One of two cats found.
    assert rows[0] | {"f1": "", "highest": ""} == {
        "variant": "spectral",
        "measure": "clip F1",
        "class": "Cat",
        "f1": "",
        "lowest": "0.0",
        "highest": "",
    }
    assert rows[0]["f1"] == rows[0]["highest"] == "100.0"
    visual = [row for row in rows if row["variant"] == "visual" and row["measure"] == "clip F1"]
    assert [row["f1"] for row in visual] == ["66.67", "66.67"]


def test_kinds_of_errors_are_of_all_annotated_segments(run: Path) -> None:
    rates = {
        row["kind"]: float(row["rate"])
        for row in read_tsv(run / "reports" / "plots" / "segment_errors.tsv")
        if row["variant"] == "visual"
    }
    # Annotated: cat 2 + 2, dog 3. In `cat` the dog stands for the cat twice; both begin in
    # segment 0, which is one insertion each, and the dog of `both` reaches into segment 8.
    assert rates == {
        "substitutions": pytest.approx(200 / 7, abs=0.01),
        "deletions": 0.0,
        "insertions": pytest.approx(300 / 7, abs=0.01),
    }


def test_errors_of_onsets_are_of_matched_events(run: Path) -> None:
    found = {
        (row["measure"], row["class"], row["error"]): float(row["events"])
        for row in read_tsv(run / "reports" / "plots" / "boundary_errors.tsv")
        if row["variant"] == "visual" and float(row["events"])
    }
    assert found == {
        ("onset", "Cat", "0.0"): 1.0,
        ("offset", "Cat", "0.0"): 1.0,
        ("onset", HOSTILE, "0.4"): 1.0,
        ("offset", HOSTILE, "0.0"): 1.0,
    }


def test_learning_curves_have_a_row_for_each_variant_and_step(tmp_path: Path) -> None:
    curves = {
        "visual": {
            "classification_cost": ([1, 20], [0.5, 0.25]),
            "consistency_cost": ([1, 20], [0.0, 0.125]),
        },
        "auditory": {"classification_cost": ([1], [0.75]), "consistency_cost": ([1], [2.0])},
    }
    write_learning_curves(tmp_path / "curves.tsv", curves)
    assert (tmp_path / "curves.tsv").read_text().splitlines() == [
        "variant\tstep\tclassification_cost\tconsistency_cost",
        "visual\t1\t0.5\t0.0",
        "visual\t20\t0.25\t0.125",
        "auditory\t1\t0.75\t2.0",
    ]


def test_learning_curves_include_an_added_variant(run: Path) -> None:
    rows = read_tsv(run / "reports" / "plots" / "learning_curves.tsv")
    assert rows[-1]["variant"] == "auditory_added"
    plain = ("1", "0.5", "0.125", ""), ("20", "0.25", "2.0", "")
    strong = ("1", "0.5", "0.125", "0.75"), ("20", "0.25", "2.0", "0.375")
    assert [tuple(row.values()) for row in rows] == [
        (variant, *values)
        for variant in VARIANTS
        for values in (strong if variant.endswith("+strong") else plain)
    ]


def test_each_figure_is_a_png(run: Path) -> None:
    assert {path.name for path in (run / "reports" / "figures").iterdir()} == {
        "boundary_errors.png",
        "class_f1.png",
        "clip_1_best.png",
        "clip_2_worst.png",
        "learning_curves.png",
        "segment_errors.png",
    }


def test_the_same_run_gives_the_same_page(run: Path) -> None:
    before = (run / "reports" / "index.html").read_bytes()
    assert illustrate_run(run, PARAMS).read_bytes() == before


def test_the_page_of_own_clips_has_no_numbers_of_the_paper(run: Path, tmp_path: Path) -> None:
    tuned = PARAMS.evaluation.model_copy(update={"thresholds": "tuned"})
    own = LocalDataset(source="local", classes=CLASSES)
    params = PARAMS.model_copy(update={"dataset": own, "evaluation": tuned})
    page = Page(illustrate_run(run, params, reports_dir=tmp_path))
    assert "paper 76.22" not in page.text
    assert "are tuned on validation" in page.text


def test_tuned_thresholds_decide_the_events_of_each_seed(run: Path) -> None:
    events = {"Cat": 0.95, HOSTILE: 0.5}  # cats score 0.9
    results = read_results(run / "data" / "evaluations", ["visual"], n_best=1)["visual"]
    evaluation = {**results.evaluation, "thresholds": {"0": {"events": events}}}
    analysis = analyze_variant(
        read_scores(run / "data" / "scores" / "visual.h5")["test"],
        dataclasses.replace(results, evaluation=evaluation),
        read_test_set(run / "data" / "metadata", run / "data" / "clips.csv"),
        params=PARAMS,
        clip_ids=["both"],
    )
    (found,) = analysis.timelines["both"].events
    assert [event.label for event in found] == [HOSTILE]


def test_missing_curves_say_which_stage_to_run(tmp_path: Path) -> None:
    write_run(tmp_path, PARAMS)
    (tmp_path / "reports/training/visual/plots/metrics/consistency_cost.tsv").unlink()
    with pytest.raises(AvsedError, match="run `dvc repro train@visual`"):
        illustrate_run(tmp_path, PARAMS)
