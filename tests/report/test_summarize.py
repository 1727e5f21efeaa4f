"""The choice of seeds, and the table of results."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from avsed.config import load_params, load_variants
from avsed.dataset.annotations import AnnotatedClip, Event, write_list
from avsed.errors import AvsedError
from avsed.evaluation.counts import CountedClips, write_counts
from avsed.evaluation.metrics import F1_AVERAGES
from avsed.params import LocalDataset
from avsed.report.best_seeds import METRICS, Result, average_best
from avsed.report.bootstrap import Difference, Interval
from avsed.report.rows import Row, reported_variants
from avsed.report.summarize import render_report, summarize
from avsed.variants import ZERO_SHOT
from tests.conftest import ROOT
from tests.helpers.extractors import paper_networks

PARAMS = load_params(ROOT / "params.yaml")
VARIANTS = load_variants(ROOT / "variants.yaml")


def seeds(*scores: tuple[float, float, float]) -> dict[str, dict[str, float]]:
    """Return seeds with three F1 scores; PSDS equals the last of them."""
    return {
        str(seed): dict(zip(METRICS, (*values, values[-1], values[-1]), strict=True))
        for seed, values in enumerate(scores)
    }


def test_seeds_are_chosen_on_validation_for_each_metric_and_averaged_on_test() -> None:
    validation = seeds((0.9, 0.1, 0.5), (0.5, 0.2, 0.5), (0.7, 0.3, 0.5))
    test = seeds((0.1, 0.4, 0.2), (0.9, 0.6, 0.4), (0.3, 0.8, 0.9))
    results = average_best("visual", validation, test, n_best=2)
    assert results["clip_f1"].mean == pytest.approx((10 + 30) / 2)
    assert results["segment_f1"].mean == pytest.approx((60 + 80) / 2)
    assert results["event_f1"].mean == pytest.approx((20 + 40) / 2)  # equal: the first ones
    assert results["clip_f1"].deviation == pytest.approx(math.sqrt(200))
    assert results["clip_f1"].seeds == ("0", "2")


def test_one_seed_has_no_deviation() -> None:
    scores = seeds((0.5, 0.5, 0.5))
    results = average_best("visual", scores, scores, n_best=1)
    assert math.isnan(results["clip_f1"].deviation)


def test_fewer_seeds_than_n_best_are_an_error() -> None:
    scores = seeds((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    with pytest.raises(AvsedError, match=r"visual: 2 seeds have scores, .*n_best is 5; lower it"):
        average_best("visual", scores, scores, n_best=5)


def evaluate_all(folder: Path, *, better: str = "") -> None:
    """Write evaluations in which all variants detect half of the events, and `better` all."""
    for variant in VARIANTS:
        split = {"n_clips": 39, "n_listed": 40, "seeds": seeds((0.5, 0.25, 0.125))}
        evaluation = {"validation": split, "test": split}
        (folder / f"{variant}.json").write_text(json.dumps(evaluation))
        counts = np.zeros((40, 1, 3), np.int64)
        counts[:, 0, 0] = 1
        if variant != better:
            counts[::2, 0] = (0, 0, 1)
        clip_ids = tuple(f"clip{i}" for i in range(40))
        # Boxes are 2% better on all clips, and 0 to 4% in the resamples.
        psds = {
            "median": dict.fromkeys(("psds1", "psds2"), np.full(101, 0.5)),
            "boxes": {
                "psds1": np.array([0.52, *np.linspace(0.50, 0.54, 100)]),
                "psds2": np.array([0.52, *np.linspace(0.51, 0.53, 100)]),
            },
        }
        counted = CountedClips(
            clip_ids=clip_ids,
            seeds={"0": dict.fromkeys(F1_AVERAGES, counts)},
            psds={"0": psds},
        )
        write_counts(folder / f"{variant}.h5", counted)


def summarize_into(folder: Path) -> None:
    summarize(
        folder,
        VARIANTS,
        PARAMS,
        metrics_dir=folder / "metrics",
        reports_dir=folder / "reports",
    )


def test_the_report_has_intervals_and_marks_significant_differences(tmp_path: Path) -> None:
    evaluate_all(tmp_path, better="visual")
    summarize_into(tmp_path)
    intervals = json.loads((tmp_path / "metrics" / "intervals.json").read_text())
    assert list(intervals) == list(VARIANTS)
    # Recall 1/2 without false alarms: F1 2/3.
    spectral, visual = intervals["spectral"]["clip_f1"], intervals["visual"]["clip_f1"]
    assert spectral.keys() == {"low", "high"}
    assert spectral["low"] < 66.67 < spectral["high"]
    assert (visual["low"], visual["high"], visual["difference"]) == (100.0, 100.0, 33.33)
    assert 0 < visual["difference_low"] < 33.33 < visual["difference_high"]
    assert intervals["auditory"]["clip_f1"]["difference"] == 0.0

    report = (tmp_path / "reports" / "table.md").read_text()
    low, high = f"{spectral['low']:.2f}", f"{spectral['high']:.2f}"
    assert f"| spectral | {low} to {high} |" in report
    low, high = (f"{visual[end]:.2f}" for end in ("difference_low", "difference_high"))
    assert f"| visual | spectral | **+33.33** ({low} to {high}) |" in report
    assert f"| auditory | spectral |{' +0.00 (0.00 to 0.00) |' * 3} 40 |" in report
    assert f"| auditory_centered | auditory |{' +0.00 (0.00 to 0.00) |' * 3} 40 |" in report


def test_the_report_compares_the_methods_of_post_processing(tmp_path: Path) -> None:
    evaluate_all(tmp_path)
    summarize_into(tmp_path)
    methods = json.loads((tmp_path / "metrics" / "postprocessing.json").read_text())
    assert list(methods) == list(VARIANTS)
    assert methods["visual"]["psds1"] == {
        "median": 50.0,
        "boxes": 52.0,
        "difference": 2.0,
        "difference_low": 0.1,  # the 2.5th percentile of 0 to 4
        "difference_high": 3.9,
    }
    report = (tmp_path / "reports" / "table.md").read_text()
    psds1, psds2 = "**+2.00** (0.10 to 3.90)", "**+2.00** (1.05 to 2.95)"
    assert f"| visual | 50.00 | 52.00 | {psds1} | 50.00 | 52.00 | {psds2} |" in report


def test_the_table_has_all_variants_the_papers_numbers_and_the_setup(
    tmp_path: Path,
) -> None:
    evaluate_all(tmp_path)
    summarize_into(tmp_path)
    table = json.loads((tmp_path / "metrics" / "table.json").read_text())
    assert list(table) == list(VARIANTS)
    assert table["spectral+visual"] == {
        "clip_f1": 50.0,
        "segment_f1": 25.0,
        "event_f1": 12.5,
        "psds1": 12.5,
        "psds2": 12.5,
    }
    report = (tmp_path / "reports" / "table.md").read_text()
    assert (
        "profile demo: synthesized clips, YAMNet with pretrained weights" in report.splitlines()[0]
    )
    assert "Random weights" not in report
    scores = "50.00 (80.04) | 25.00 (71.01) | 12.50 (22.31) | 12.50 | 12.50"
    assert f"| auditory+visual | {scores} | 39 of 40 |" in report
    scores = "50.00 | 25.00 | 12.50 | 12.50 | 12.50"  # not in the paper
    assert f"| auditory_centered | {scores} | 39 of 40 |" in report


@pytest.mark.parametrize(
    ("n_clips", "is_shown"), [(2, True), (0, False), (None, False)], ids=["on", "off", "no list"]
)
def test_rows_with_strong_labels_are_shown_if_they_were_trained_on_any(
    n_clips: int | None, is_shown: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = Event(onset=0.0, offset=1.0, label="Dog")
    if n_clips is not None:
        write_list(tmp_path, "strong", [AnnotatedClip(clip_id="a", tags=("Dog",), events=(event,))])
    strong = PARAMS.strong.model_copy(update={"n_clips": 2 if n_clips is None else n_clips})
    rows = reported_variants(VARIANTS, tmp_path, PARAMS.model_copy(update={"strong": strong}))
    strong_row = "auditory+visual+strong"
    assert list(rows) == [row for row in [*VARIANTS, ZERO_SHOT] if is_shown or row != strong_row]
    omitted = f"omitted, because no strong labels are used: {strong_row}\n"
    assert capsys.readouterr().out == ("" if is_shown else omitted)
    report = render_report({name: row(n_seeds=2) for name in rows}, {}, PARAMS)
    assert ("+strong: trained on strong labels, too" in report) == is_shown


def test_random_weights_are_said() -> None:
    heading, *report = render_report(
        {"auditory": row(n_seeds=2)}, {}, paper_networks()
    ).splitlines()
    assert heading.endswith("synthesized clips, VGGish with random weights")
    assert any("Random weights: these results test the pipeline" in line for line in report)


def row(*, n_seeds: int) -> Row:
    result = Result(mean=50.0, deviation=2.0, seeds=("0", "1"))
    undefined = Interval(low=math.nan, high=math.nan)
    difference = Difference(mean=math.nan, interval=undefined)
    return Row(
        results=dict.fromkeys(METRICS, result),
        n_seeds=n_seeds,
        n_clips="4",
        intervals=dict.fromkeys(F1_AVERAGES, Interval(low=40.0, high=60.0)),
        baseline="spectral",
        differences=dict.fromkeys(F1_AVERAGES, difference),
        n_common=0,
    )


def test_the_report_says_which_variants_lack_seeds() -> None:
    assert PARAMS.train.n_seeds == 2
    complete = render_report({"visual": row(n_seeds=2)}, {}, PARAMS)
    assert "Not all" not in complete
    report = render_report({"visual": row(n_seeds=2), "auditory": row(n_seeds=1)}, {}, PARAMS)
    assert "Not all 2 seeds have scores: auditory has 1.\n" in report


def test_a_difference_without_common_clips_is_undefined() -> None:
    report = render_report({"visual": row(n_seeds=2)}, {}, PARAMS)
    assert f"| visual | spectral |{' undefined |' * 3} 0 |" in report
    assert f"| visual |{' 40.00 to 60.00 |' * 3}" in report


def test_the_report_says_that_thresholds_are_tuned() -> None:
    tuned = PARAMS.evaluation.model_copy(update={"thresholds": "tuned"})
    rows = {"visual": row(n_seeds=2)}
    report = render_report(rows, {}, PARAMS.model_copy(update={"evaluation": tuned}))
    assert "are tuned on validation" in report
    assert "are tuned on validation" not in render_report(rows, {}, PARAMS)


def test_the_table_of_own_clips_has_no_numbers_of_the_paper() -> None:
    dataset = LocalDataset(source="local", classes=("Cat",))
    params = PARAMS.model_copy(update={"dataset": dataset})
    table = render_report({"visual": row(n_seeds=2)}, {}, params)
    assert f"| visual |{' 50.00 ± 2.00 |' * 5} 4 |" in table


def test_a_missing_evaluation_says_which_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match=r"`dvc repro evaluate@spectral`"):
        summarize_into(tmp_path)
