"""The choice of seeds, and the report."""

import json
import math
from pathlib import Path

import pytest

from avsed.config import LocalDataset, load_params
from avsed.errors import AvsedError
from avsed.protocol import METRICS, Result, average_best
from avsed.report import PAPER_TABLE_3, Row, render_report, summarize

from .conftest import ROOT

PARAMS = load_params(ROOT / "params.yaml")


def seeds(*scores: tuple[float, float, float]) -> dict[str, dict[str, float]]:
    """Give seeds three F1 scores, and PSDS like the last of them."""
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


def test_fewer_seeds_than_are_to_be_kept_are_refused() -> None:
    scores = seeds((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    with pytest.raises(AvsedError, match=r"visual: 2 seeds have scores, .*n_best is 5; lower it"):
        average_best("visual", scores, scores, n_best=5)


def test_the_table_has_seven_rows_beside_the_papers_and_names_its_setup(tmp_path: Path) -> None:
    for variant in PAPER_TABLE_3:
        split = {"n_clips": 39, "n_listed": 40, "seeds": seeds((0.5, 0.25, 0.125))}
        (tmp_path / f"{variant}.json").write_text(json.dumps({"validation": split, "test": split}))
    table_path, report_path = tmp_path / "metrics" / "table.json", tmp_path / "table.md"
    summarize(tmp_path, PARAMS, table_path=table_path, report_path=report_path)
    table = json.loads(table_path.read_text())
    assert list(table) == list(PAPER_TABLE_3)
    assert table["spectral+visual"] == {
        "clip_f1": 50.0,
        "segment_f1": 25.0,
        "event_f1": 12.5,
        "psds1": 12.5,
        "psds2": 12.5,
    }
    report = report_path.read_text()
    assert "profile demo: synthesized clips, VGGish with random weights" in report.splitlines()[0]
    assert "Random weights: this table shows that the machinery works" in report
    scores = "50.00 (80.04) | 25.00 (71.01) | 12.50 (22.31) | 12.50 | 12.50"
    assert f"| auditory+visual | {scores} | 39 of 40 |" in report


def row(*, n_seeds: int) -> Row:
    result = Result(mean=50.0, deviation=2.0, seeds=("0", "1"))
    return Row(results=dict.fromkeys(METRICS, result), n_seeds=n_seeds, n_clips="4")


def test_the_report_says_which_variants_lack_seeds() -> None:
    assert PARAMS.train.n_seeds == 2
    complete = render_report({"visual": row(n_seeds=2)}, PARAMS)
    assert "Not all" not in complete
    report = render_report({"visual": row(n_seeds=2), "auditory": row(n_seeds=1)}, PARAMS)
    assert "Not all 2 seeds have scores: auditory has 1.\n" in report


def test_the_report_says_that_thresholds_are_tuned() -> None:
    tuned = PARAMS.evaluation.model_copy(update={"thresholds": "tuned"})
    rows = {"visual": row(n_seeds=2)}
    report = render_report(rows, PARAMS.model_copy(update={"evaluation": tuned}))
    assert "are tuned on validation" in report
    assert "are tuned on validation" not in render_report(rows, PARAMS)


def test_the_table_of_own_clips_has_no_figures_of_the_paper() -> None:
    dataset = LocalDataset(source="local", classes=("Cat",))
    params = PARAMS.model_copy(update={"dataset": dataset})
    table = render_report({"visual": row(n_seeds=2)}, params)
    assert f"| visual |{' 50.00 ± 2.00 |' * 5} 4 |" in table


def test_a_missing_evaluation_says_which_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match=r"`dvc repro evaluate@spectral`"):
        summarize(tmp_path, PARAMS, table_path=tmp_path / "t", report_path=tmp_path / "r")
