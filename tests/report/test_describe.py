"""The README and the thresholds in a model's folder."""

from pathlib import Path

import numpy as np
import pytest

from avsed.config import load_params
from avsed.errors import AvsedError
from avsed.model.card import ModelCard, write_model_card
from avsed.model.decisions import read_decisions
from avsed.model.scores import ScoredSplit, Scores, write_scores
from avsed.report.describe import describe_model
from tests.conftest import ROOT
from tests.helpers.scored_run import CLASSES, CLIPS, write_run

PARAMS = load_params(ROOT / "params.yaml")
TUNED = PARAMS.model_copy(
    update={"evaluation": PARAMS.evaluation.model_copy(update={"thresholds": "tuned"})}
)

CARD = ModelCard(
    kinds=("spectral", "auditory"),
    feature_dims=(128, 1024),
    classes=CLASSES,
    embedding_dims={"auditory": 16},
    mask_padding=True,
    provenance={
        "spectral": {"extractor": "log-mel"},
        "auditory": {
            "extractor": "yamnet",
            "weights": "pretrained",
            "weights_sha256": "540bf1f5",
            "weights_origin": "a package",
            "weights_licence": "Apache-2.0",
        },
    },
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, PARAMS)
    write_model_card(CARD, folder / "data" / "models" / "spectral+auditory")
    return folder / "data"


def test_the_readme_names_networks_licences_classes_and_scores(run: Path) -> None:
    describe_model("spectral+auditory", run, PARAMS)
    readme = (run / "models" / "spectral+auditory" / "README.md").read_text("utf-8")
    assert "profile demo: synthesized clips, YAMNet with pretrained weights." in readme
    assert "not for real recordings" in readme
    assert "| auditory | yamnet | a package | Apache-2.0 | 540bf1f5 |" in readme
    assert "| Cat | 0.5 | 0.5 |" in readme
    # The cats of both clips are found, the dog is not: 2 x 2 / (2 x 2 + 1).
    (clip_f1,) = (line for line in readme.splitlines() if line.startswith("| clip micro F1 |"))
    assert clip_f1.startswith("| clip micro F1 | 80.00 |") and " to " in clip_f1


@pytest.mark.parametrize(
    ("variant", "n_clips", "text"),
    [
        ("auditory+visual", 0, None),
        ("auditory+visual+strong", 16, "Trained on the events of 16 strongly labeled cl"),
        ("auditory+visual+strong", 0, "Trained without strong labels; equals auditory+v"),
    ],
)
def test_the_readme_says_whether_strong_labels_were_used(
    variant: str, n_clips: int, text: str | None, run: Path
) -> None:
    card = CARD.model_copy(update={"n_strong_clips": n_clips})
    write_model_card(card, run / "models" / variant)
    describe_model(variant, run, PARAMS)
    readme = (run / "models" / variant / "README.md").read_text("utf-8")
    assert text is None or text in readme
    assert ("strong labels" in readme or "strongly" in readme) == bool(text)


def test_fixed_decisions_are_those_of_the_parameters(run: Path) -> None:
    describe_model("spectral+auditory", run, PARAMS)
    decisions = read_decisions(run / "models" / "spectral+auditory", CLASSES)
    assert decisions
    assert decisions.median_filter_frames == PARAMS.postprocess.median_filter_frames
    assert decisions.tags == decisions.events == dict.fromkeys(CLASSES, 0.5)


def test_filters_reach_the_decisions_and_the_readme(run: Path) -> None:
    by_class = {"Cat": 7, CLASSES[1]: 15}
    filters = {"median_filter_frames": by_class, "max_gap": 0.1, "min_event": 0.25}
    postprocess = PARAMS.postprocess.model_copy(update=filters)
    describe_model("spectral+auditory", run, PARAMS.model_copy(update={"postprocess": postprocess}))
    model_dir = run / "models" / "spectral+auditory"
    decisions = read_decisions(model_dir, CLASSES)
    assert decisions and decisions.model_dump(include=set(filters)) == filters
    readme = (model_dir / "README.md").read_text("utf-8")
    assert "Then gaps of up to 0.1 s are filled.\nThen events shorter than 0.25 s are" in readme
    assert "| Cat | 0.5 | 0.5 | 7 |" in readme


def test_boxes_reach_the_decisions_and_the_readme(run: Path) -> None:
    postprocess = PARAMS.postprocess.model_copy(update={"method": "boxes"})
    describe_model("spectral+auditory", run, PARAMS.model_copy(update={"postprocess": postprocess}))
    model_dir = run / "models" / "spectral+auditory"
    decisions = read_decisions(model_dir, CLASSES)
    assert decisions and decisions.method == "boxes"
    assert decisions.step_filter_frames == PARAMS.postprocess.step_filter_frames
    assert "sound event bounding boxes" in (model_dir / "README.md").read_text("utf-8")


def test_tuned_decisions_are_those_of_the_mean_scores(run: Path) -> None:
    """The mean scores are 0.1, and 0.3 in events: neither seed alone gives these thresholds."""
    frame_scores = np.full((len(CLIPS), 151, 2), 0.1, np.float32)
    for row, events in enumerate(CLIPS.values()):
        for event in events:
            first, last = (round(second / 0.06624) for second in (event.onset, event.offset))
            frame_scores[row, first:last, CLASSES.index(event.label)] = 0.3
    low, high = frame_scores - 0.1, frame_scores + 0.1
    scored = ScoredSplit(
        clip_ids=tuple(CLIPS),
        valid_frames=np.full(len(CLIPS), 151),
        seeds={
            seed: Scores(frame_scores=scores, clip_scores=scores.max(axis=1))
            for seed, scores in enumerate((low, high))
        },
    )
    path = run / "scores" / "spectral+auditory.h5"
    before = path.read_bytes()
    write_scores(path, {"validation": scored, "test": scored})
    describe_model("spectral+auditory", run, TUNED)
    path.write_bytes(before)
    decisions = read_decisions(run / "models" / "spectral+auditory", CLASSES)
    assert decisions
    # Of 0.10 to 0.25, the nearest to 0.5; the second seed alone would give 0.35.
    assert decisions.events == decisions.tags == dict.fromkeys(CLASSES, 0.25)


def test_a_missing_evaluation_names_the_stage(run: Path) -> None:
    write_model_card(
        ModelCard(
            kinds=("spectral",),
            feature_dims=(128,),
            classes=CLASSES,
            embedding_dims={},
            mask_padding=True,
            provenance={"spectral": {"extractor": "log-mel"}},
        ),
        run / "models" / "lost",
    )
    with pytest.raises(AvsedError, match=r"run `dvc repro (score|evaluate)@lost`"):
        describe_model("lost", run, PARAMS)
