"""The commands that a user types, run by DVC in a small clone of the repository."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from avsed.config import load_variants
from avsed.variants import ZERO_SHOT
from tests.conftest import ROOT
from tests.helpers.cloned import Clone, stages_run

pytestmark = pytest.mark.slow

VARIANTS = [name for name in load_variants(ROOT / "variants.yaml") if "centered" not in name]
ROWS = [*VARIANTS, ZERO_SHOT]
EVALUATED = {
    "evaluate_zero_shot",
    *(f"{stage}@{variant}" for stage in ("evaluate", "describe") for variant in VARIANTS),
}
CURVES = ("classification_cost", "consistency_cost")
BARS = ("boundary_errors", "class_f1", "segment_errors")


@pytest.fixture(scope="module")
def clone(finished_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a clone with a finished demo for all of these tests."""
    path = tmp_path_factory.mktemp("clone") / "clone"
    shutil.copytree(finished_demo, path, symlinks=True)
    return Clone(path)


def test_repro_makes_the_table_of_all_variants(clone: Clone) -> None:
    table = json.loads((clone.path / "metrics" / "table.json").read_text())
    assert list(table) == ROWS
    # Scores, intervals, differences between variants, and post-processing, each with a header of
    # two lines.
    n_lines = 4 * (2 + len(ROWS)) - 1
    assert (clone.path / "reports" / "table.md").read_text().count("\n| ") == n_lines
    intervals = json.loads((clone.path / "metrics" / "intervals.json").read_text())
    assert list(intervals) == ROWS
    methods = json.loads((clone.path / "metrics" / "postprocessing.json").read_text())
    assert list(methods) == ROWS


def test_repro_makes_a_page_of_results(clone: Clone) -> None:
    page = (clone.path / "reports" / "index.html").read_text()
    table = json.loads((clone.path / "metrics" / "table.json").read_text())
    for variant, scores in table.items():
        assert f">{variant}</th>" in page
        assert f"{scores['clip_f1']:.2f}" in page


def test_a_second_repro_has_nothing_to_do(clone: Clone) -> None:
    output = clone.run("dvc", "repro")
    assert stages_run(output) == set()
    assert "up to date" in output
    assert clone.run("git", "status", "--porcelain") == ""


def test_a_comment_in_the_runtime_runs_no_stage(clone: Clone) -> None:
    for path in (clone.path / "src" / "avsed" / "runtime").glob("*.py"):
        path.write_text(path.read_text() + "# a comment\n")
    assert "up to date" in clone.run("dvc", "status")
    clone.run("git", "checkout", "-q", ".")


def test_another_layer_of_vgg16_makes_and_trains_what_sees_and_no_other(clone: Clone) -> None:
    shutil.rmtree(clone.path / ".avsed" / "features")  # like after `dvc pull` on another machine
    output = clone.run("dvc", "exp", "run", "-S", "visual.layer=fc6", "extract")
    for kind in ("spectral", "auditory"):
        assert f"{kind}: 1 shards of the last commit come from DVC" in output
    assert "visual: 1 of 1 shards to make: new (1)" in output
    assert "spectral: 1 of 1 shards to" not in output
    assert "auditory: 1 of 1 shards to" not in output
    status = json.loads(clone.run("dvc", "status", "--json"))
    trained = {stage for stage in status if stage.startswith("train")}
    assert trained == {f"train@{variant}" for variant in VARIANTS if "visual" in variant}
    clone.run("git", "checkout", "-q", ".")
    clone.run("dvc", "checkout", "-q")


def test_plots_show_draws_the_curves_of_all_variants(clone: Clone) -> None:
    shown = json.loads(clone.run("dvc", "plots", "show", "--json"))
    images = {str(path.relative_to(clone.path)) for path in clone.path.glob("reports/figures/*")}
    assert set(shown["data"]) == {*CURVES, *BARS, *images}
    for cost in CURVES:
        content = shown["data"][cost][0]["content"]
        assert content["encoding"]["color"]["field"] == "variant"
        assert "<DVC_METRIC" not in json.dumps(content)
        points = content["data"]["values"]
        assert {point["variant"] for point in points} == set(VARIANTS)
        assert {point["step"] for point in points} == {"1", "2"}


def test_plots_diff_compares_the_page_s_figures_with_the_commit(clone: Clone) -> None:
    # Runs this stage only, which takes seconds; another segment length changes the errors.
    clone.replace("params.yaml", "segment_length: 1.0", "segment_length: 0.5")
    clone.run("dvc", "repro", "-s", "illustrate")
    shown = json.loads(clone.run("dvc", "plots", "diff", "--json", "HEAD"))["data"]
    clone.run("git", "checkout", "-q", ".")
    clone.run("dvc", "checkout", "-q")
    for name in BARS:
        (plot,) = shown[name]
        assert plot["revisions"] == ["workspace", "HEAD"]
        values = plot["content"]["data"]["values"]
        assert {point["variant"] for point in values} == set(ROWS)
        assert {point["rev"] for point in values} == {"workspace", "HEAD"}
        assert "<DVC_METRIC" not in json.dumps(plot)
    rates = {
        rev: [
            point["rate"]
            for point in shown["segment_errors"][0]["content"]["data"]["values"]
            if point["rev"] == rev
        ]
        for rev in ("workspace", "HEAD")
    }
    assert rates["workspace"] != rates["HEAD"]
    drawn = [image["revisions"] for image in shown["reports/figures/segment_errors.png"]]
    assert drawn == [["workspace"], ["HEAD"]]


def test_features_of_other_parameters_are_refused_at_training(clone: Clone) -> None:
    clone.replace("params.yaml", "layer: fc7", "layer: fc6")
    output = clone.run("python", "stages/train.py", "visual", fails=True)
    clone.run("git", "checkout", "-q", ".")
    assert output.strip() == (
        "error: data/features/visual: was computed with layer fc7, but the parameters say fc6; "
        "run `dvc repro extract`"
    )


def test_metrics_diff_compares_with_the_commit(clone: Clone) -> None:
    path = clone.path / "metrics" / "table.json"
    committed = path.read_text()
    table = json.loads(committed)
    table["visual"]["clip_f1"] += 1.5
    path.write_text(json.dumps(table))
    difference = clone.run("dvc", "metrics", "diff", "--json")
    path.write_text(committed)
    assert json.loads(difference)["metrics/table.json"] == {
        "visual.clip_f1": {
            "old": json.loads(committed)["visual"]["clip_f1"],
            "new": table["visual"]["clip_f1"],
            "diff": pytest.approx(1.5),
        }
    }


def test_an_edit_of_a_metric_trains_and_scores_nothing(clone: Clone) -> None:
    path = clone.path / "src" / "avsed" / "evaluation" / "metrics.py"
    source = path.read_text()
    path.write_text(source + "# an edit\n")
    status = json.loads(clone.run("dvc", "status", "--json"))
    path.write_text(source)
    assert set(status) == {"summarize", "illustrate", *EVALUATED}


def test_tuned_thresholds_train_and_score_nothing(clone: Clone) -> None:
    clone.replace("params.yaml", "thresholds: fixed", "thresholds: tuned")
    status = json.loads(clone.run("dvc", "status", "--json"))
    clone.run("git", "checkout", "-q", ".")
    assert set(status) == {"summarize", "illustrate", *EVALUATED}


@pytest.mark.parametrize(
    ("file", "setting"), [("params.yaml", "weight: 1.0"), ("profiles/demo.yaml", "  n_clips: 2")]
)
def test_settings_of_strong_labels_train_no_other_row(
    file: str, setting: str, clone: Clone
) -> None:
    clone.replace(file, setting, setting.replace("1.0", "0.5").replace("2", "1"))
    status = json.loads(clone.run("dvc", "status", "--json"))
    clone.run("git", "checkout", "-q", ".")
    strong = {f"train@{variant}" for variant in VARIANTS if variant.endswith("+strong")}
    assert set(status) == {*strong, "summarize", "illustrate"}


def test_an_edit_of_a_figure_runs_the_report_and_nothing_else(clone: Clone) -> None:
    path = clone.path / "src" / "avsed" / "report" / "page" / "figures.py"
    source = path.read_text()
    path.write_text(source + "# an edit\n")
    status = json.loads(clone.run("dvc", "status", "--json"))
    path.write_text(source)
    assert set(status) == {"summarize", "illustrate"}


@pytest.mark.parametrize(
    ("file", "pattern", "text", "message"),
    [
        (
            "params.yaml",
            "median_filter_frames: 7",
            "median_filter_frame: 7",
            "postprocess.median_filter_frame is not a parameter; did you mean median_filter_frames",
        ),
        ("params.yaml", "threshold: 0.5", "threshold: 2.0", "postprocess.threshold is 2.0; input"),
        ("params.yaml", "dropout: 0.33", "dropout: -1.0", "train.dropout is -1.0; input should be"),
        ("profiles/demo.yaml", "seed: 1", "sed: 1", "dataset.sed is not a parameter; did you mean"),
        ("params.yaml", "profile: demo", "profile: local", "weak.tsv: no such list"),
        # Detected before clips are collected, which may take days.
        (
            "profiles/demo.yaml",
            "pretrained(?=\nvisual)",
            "/nowhere/yamnet.pth",
            "/nowhere/yamnet.pth: weights not found; use pretrained, random or the path",
        ),
    ],
)
def test_a_mistake_ends_in_one_clear_line(
    clone: Clone, file: str, pattern: str, text: str, message: str
) -> None:
    committed = (clone.path / file).read_text()
    clone.replace(file, pattern, text)
    output = clone.run("dvc", "repro", fails=True)
    (clone.path / file).write_text(committed)
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in output
    clone.run("git", "checkout", "-q", ".")
    clone.run("dvc", "checkout", "-q")


@pytest.mark.parametrize("row", ["visual", "auditory"])
def test_weights_that_no_row_needs_are_not_asked_for(row: str, tmp_path: Path) -> None:
    for name in ("params.yaml", "profiles", "variants.yaml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    profile = tmp_path / "profiles" / "demo.yaml"
    text, n_replaced = re.subn(
        r"(visual:\s+network: \w+\s+weights:) pretrained",
        r"\1 /nowhere/vgg16.pth",
        profile.read_text(),
    )
    assert n_replaced == 1
    profile.write_text(text)
    sizes = f"fusion.standalone_{row}_dim"
    slots = dict.fromkeys(("features_1", "features_2", "features_3"), row)
    slots |= {"param_1": sizes, "param_2": sizes, "labels": "weak", "param_3": "train"}
    slots |= {"baseline": row}
    rows = {"variants": {row: slots}}
    (tmp_path / "variants.yaml").write_text(json.dumps(rows))
    done = subprocess.run(
        [sys.executable, ROOT / "stages" / "prepare.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if row == "auditory":
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 2
        assert done.stderr.startswith("error: /nowhere/vgg16.pth: weights not found")
        assert done.stderr.count("\n") == 1
