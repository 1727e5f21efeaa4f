"""Parameters: the committed ones hold, and mistakes are named in one line."""

import re
import shutil
from pathlib import Path

import pytest

from avsed.config import load_params, load_variants
from avsed.errors import AvsedError
from avsed.params import Strong
from tests.conftest import ROOT


@pytest.fixture
def params_path(tmp_path: Path) -> Path:
    """Copy the project's parameters to where a test may spoil them."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    return tmp_path / "params.yaml"


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_the_paper_profile_has_the_papers_numbers(params_path: Path) -> None:
    replace(params_path, "profile: demo", "profile: paper")
    params = load_params(params_path)
    assert params.dataset.source == "youtube"
    assert params.auditory.weights == params.visual.weights == "pretrained"
    assert (params.fusion.auditory_dim, params.fusion.visual_dim) == (16, 4)
    assert (params.fusion.standalone_auditory_dim, params.fusion.standalone_visual_dim) == (64, 16)
    train = params.train
    assert (train.steps, train.ramp_steps, train.n_seeds) == (50_000, 12_500, 20)
    assert (train.n_weak, train.n_unlabeled) == (24, 24)
    assert not params.strong.is_on
    assert (train.learning_rate, train.learning_rate_decay) == (0.001, 0.99995)
    assert (train.dropout, train.consistency_weight, train.teacher_decay) == (0.33, 2.0, 0.999)
    assert (params.postprocess.threshold, params.postprocess.median_filter_frames) == (0.5, 7)
    assert params.evaluation.n_best == 5


@pytest.mark.parametrize("profile", ["demo", "local", "paper"])
def test_every_profile_is_whole(params_path: Path, profile: str) -> None:
    replace(params_path, "profile: demo", f"profile: {profile}")
    assert load_params(params_path).profile == profile


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("visual_dim: 4", "visul_dim: 4", "fusion.visul_dim is not a parameter; did you mean vis"),
        ("  visual_dim: 4", "  visual_dim: 0", "fusion.visual_dim is 0; input should be greater"),
        ("  visual_dim: 4", "  visual_dim: four", "fusion.visual_dim is 'four'; input should be"),
        ("  visual_dim: 4", "  visual_dim: 4.5", "fusion.visual_dim is 4.5"),
        ("fusion:", "fusoin:", "fusoin is not a parameter; did you mean fusion?"),
        ("frames: 7", "frames: 8", "a median filter needs an odd length, such as 7"),
        ("frames: 7", "frames: {Cat: 7, Dog: 8}", "_filter_frames is 8; a median filter needs an"),
        (
            "frames: 7",
            "frames: {Cat: 7.5}",
            "frames: is 7.5; give a whole number from 1 on, or one",
        ),
        ("step_filter_frames: 8", "step_filter_frames: 7", "a step filter needs an even length"),
        (
            "method: median",
            "method: mean",
            "postprocess.method is 'mean'; input should be 'median'",
        ),
        ("max_gap: 0.0", "max_gap: -0.1", "postprocess.max_gap: is -0.1; give a number from 0 on"),
        ("min_event: 0.0", "min_event: {Cat: no}", "postprocess.min_event: is 'no'; give a nu"),
        ("threshold: 0.5", "threshold: 1.5", "postprocess.threshold is 1.5; input should be less"),
        ("threshold: 0.5", "threshold: .nan", "postprocess.threshold is nan"),
        ("profile: demo", "profile: dmeo", "profile is 'dmeo'; choose one of demo, local, paper"),
        ("dropout: 0.33", "dropout: true", "train.dropout is True"),
        ("dropout: 0.33", "", "train.dropout is missing; add it"),
        ("segment_length: 1.0", "segment_length: 0.0001", "segment_length is 0.0001; input should"),
        ("per_run: auto", "per_run: many", "train.seeds_per_run: is 'many'; give auto or a whole"),
        ("per_run: auto", "per_run: 0", "train.seeds_per_run: is 0; give auto or a whole number"),
        ("per_run: auto", "per_run: true", "train.seeds_per_run: is True; give auto or a whole"),
        ("layer: fc7", "layer: fc9", "visual.layer is 'fc9'; input should be 'fc6', 'fc7' or"),
        ("dropout: 0.33", "dropout: [", "is not valid YAML"),
        ("dropout: 0.33", "dropout: 0.33\n  steps: 3", "both set train.steps"),
    ],
)
def test_a_mistake_in_params_is_one_clear_line(
    params_path: Path, old: str, new: str, message: str
) -> None:
    replace(params_path, f"\n  {old}" if f"\n  {old}" in params_path.read_text() else old,
            f"\n  {new}" if f"\n  {old}" in params_path.read_text() else new)  # fmt: skip
    with pytest.raises(AvsedError) as caught:
        load_params(params_path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(params_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n_test:", "n_tset:", "dataset.n_tset is not a parameter; did you mean n_test?"),
        ("source: demo", "source: dmo", "dataset.source must be demo, local or youtube"),
        ("n_best: 1", "n_best: 9", "evaluation.n_best is 9, but train.n_seeds is 2"),
        ("crop_size: 128", "crop_size: 129", "crop_size 129 exceeds resize_size 128"),
    ],
)
def test_a_mistake_in_a_profile_names_its_file(
    params_path: Path, old: str, new: str, message: str
) -> None:
    replace(params_path.parent / "profiles" / "demo.yaml", old, new)
    with pytest.raises(AvsedError) as caught:
        load_params(params_path)
    assert message in str(caught.value)
    assert "demo.yaml" in str(caught.value)


def test_a_number_as_dvc_writes_it_is_a_number(params_path: Path) -> None:
    replace(params_path, "learning_rate: 0.001", "learning_rate: 5e-05")
    assert load_params(params_path).train.learning_rate == 5e-05


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ('["Dog,Cat"]', "'Dog,Cat' cannot be a class"),
        ('[" Dog"]', "' Dog' cannot be a class"),
        ('[""]', "'' cannot be a class"),
        ('["None"]', "missing label"),
        ("[Dog, Dog]", "a class is listed twice"),
    ],
)
def test_classes_that_lists_cannot_name_are_refused(
    params_path: Path, classes: str, message: str
) -> None:
    replace(params_path, "profile: demo", "profile: local")
    profile = params_path.parent / "profiles" / "local.yaml"
    replace(profile, "[Alarm_bell_ringing, Dog, Speech]", classes)
    with pytest.raises(AvsedError, match=re.escape(message)):
        load_params(params_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match=r"params.yaml: no such file"):
        load_params(tmp_path / "params.yaml")


def variant_line(name: str, features: str, params: str, more: str = "") -> str:
    """Write a row with its three features and two parameters, each separated by spaces."""
    slots = [f"features_{number}: {kind}" for number, kind in enumerate(features.split(), 1)]
    slots += [f"param_{number}: {param}" for number, param in enumerate(params.split(), 1)]
    strong = name.endswith("+strong")
    slots += ["labels: strong, param_3: strong" if strong else "labels: weak, param_3: train"]
    return f"  {name}: {{ {', '.join(slots)}{more} }}\n"


SPECTRAL = variant_line(
    "spectral", "spectral spectral spectral", "spectral.window_length spectral.window_length"
)
VISUAL_DIMS = "fusion.standalone_visual_dim fusion.standalone_visual_dim"
VISUAL = variant_line("visual", "visual visual visual", VISUAL_DIMS)
STRONG = variant_line("visual+strong", "visual visual visual", VISUAL_DIMS)


def test_variants_are_read_in_their_order(tmp_path: Path) -> None:
    variants = load_variants(ROOT / "variants.yaml")
    assert list(variants)[:2] == ["spectral", "spectral+visual"]
    assert (variants["spectral"], variants["spectral+visual"]) == (None, "spectral")
    assert variants["auditory_centered"] == "auditory"
    path = tmp_path / "variants.yaml"
    four = "spectral+auditory+visual+visual_efficientnet"
    line = variant_line(four, "spectral auditory .", "fusion.auditory_dim fusion.visual_dim")
    path.write_text(f"variants:\n{SPECTRAL}{line}")
    assert list(load_variants(path)) == ["spectral", four]


def test_a_row_with_strong_labels_depends_on_their_list_and_section(tmp_path: Path) -> None:
    path = tmp_path / "variants.yaml"
    path.write_text(f"variants:\n{SPECTRAL}{STRONG}")
    assert list(load_variants(path)) == ["spectral", "visual+strong"]
    weak = STRONG.replace("labels: strong, param_3: strong", "labels: weak, param_3: train")
    path.write_text(f"variants:\n{SPECTRAL}{weak}")
    with pytest.raises(AvsedError, match="the slots do not match") as caught:
        load_variants(path)
    assert str(caught.value).endswith(f"write `{STRONG.strip()}`")


@pytest.mark.parametrize(
    ("weight", "n_clips", "is_on"), [(1.0, 2, True), (0.0, 2, False), (1.0, 0, False)]
)
def test_strong_labels_are_off_if_the_weight_or_the_number_of_clips_is_0(
    weight: float, n_clips: int, is_on: bool
) -> None:
    assert Strong(weight=weight, n_clips=n_clips).is_on == is_on


@pytest.mark.parametrize(
    ("line", "message", "remedy"),
    [
        ("  visual: [visual]\n", "visual is a list; write ", VISUAL),
        ("  visual: {features_1: visual}\n", "visual.features_2: field required; write ", VISUAL),
        (
            variant_line("visual", "visual visual auditory", VISUAL_DIMS),
            "visual: the slots do not match the variant's name, so DVC would reuse stale results; "
            "write ",
            VISUAL,
        ),
        (
            variant_line("visual", "visual visual visual", "fusion.visual_dim fusion.visual_dim"),
            "visual: the slots do not match the variant's name, so DVC would reuse stale results; "
            "write ",
            VISUAL,
        ),
    ],
)
def test_a_wrong_row_is_refused_with_the_row_to_paste(
    line: str, message: str, remedy: str, tmp_path: Path
) -> None:
    path = tmp_path / "variants.yaml"
    path.write_text(f"variants:\n{SPECTRAL}{line}")
    with pytest.raises(AvsedError) as caught:
        load_variants(path)
    assert str(caught.value) == f"{path}: {message}`{remedy.strip()}`"
    path.write_text(f"variants:\n{SPECTRAL}{remedy}")
    assert list(load_variants(path)) == ["spectral", "visual"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "names no variants; list them under `variants:`"),
        ("  1: {features_1: spectral}\n", "'1' is no variant; join spectral, auditory, visual or"),
        (
            variant_line("visual+visual", "visual visual visual", VISUAL_DIMS),
            "'visual.visual' is no variant; join spectral, .* once, and end in \\+strong to ",
        ),
        (VISUAL, "visual: the baseline spectral is not a row; write `visual: .*baseline: VARIANT"),
    ],
)
def test_a_file_of_variants_that_cannot_be_used_is_refused(
    line: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "variants.yaml"
    path.write_text(f"variants:\n{line}")
    with pytest.raises(AvsedError, match=rf"variants.yaml: {message}") as caught:
        load_variants(path)
    assert "\n" not in str(caught.value)
