"""YAMNet as a detector: the mapping of classes, scores, and the command without a model."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from avsed.dataset.annotations import (
    DCASE_2018_CLASSES,
    AnnotatedClip,
    Event,
    write_classes,
    write_list,
)
from avsed.dataset.clips import write_clips
from avsed.dataset.inspection import inspect_clip
from avsed.dataset.loading import ClipFeatures
from avsed.features.networks.yamnet import read_class_names
from avsed.framing import N_FRAMES
from avsed.model.scores import read_scores
from avsed.prediction.predict import predict
from avsed.zero_shot.classes import AUDIOSET_NAMES, map_classes
from avsed.zero_shot.detector import load_detector
from avsed.zero_shot.score import score_zero_shot
from tests.conftest import ROOT, run_avsed

REAL_MEDIA = ROOT.parent / "shared" / "realmedia"
real_media = pytest.mark.skipif(not REAL_MEDIA.is_dir(), reason="needs real recordings")


def tone(path: Path, seconds: float = 4.0) -> Path:
    """Write a sine of 440 Hz, which YAMNet takes for a telephone."""
    times = np.arange(int(16_000 * seconds)) / 16_000
    soundfile.write(path, np.sin(2 * np.pi * 440 * times), 16_000)
    return path


def test_all_names_of_the_table_are_classes_of_audioset() -> None:
    assert tuple(AUDIOSET_NAMES) == DCASE_2018_CLASSES
    named = [name for names in AUDIOSET_NAMES.values() for name in names]
    assert set(named) <= set(read_class_names())
    assert len(set(named)) == len(named)


def test_classes_outside_of_the_table_are_found_by_name() -> None:
    names = ("Speech", "Blender", "Burping, eructation")
    mapped = map_classes(("burping__eructation", "Blender", "Kazoo_choir"), names)
    assert mapped == {"burping__eructation": (2,), "Blender": (1,), "Kazoo_choir": ()}


def test_the_largest_of_several_scores_counts_and_padding_does_not() -> None:
    detector = load_detector(("Dog", "Kazoo_choir"))
    assert detector.warnings == ["AudioSet has no class Kazoo_choir; it is never detected"]
    names = read_class_names()
    scores = torch.zeros(1, N_FRAMES, 521)
    scores[0, :5, names.index("Bark")] = 0.6
    scores[0, :5, names.index("Dog")] = 0.2
    scores[0, 5:, names.index("Dog")] = 0.9
    mask = torch.arange(N_FRAMES)[None] < 5
    found = detector.score(
        ClipFeatures(clip_ids=("a",), features={"yamnet_scores": scores}, mask=mask)
    )
    assert found.frame_scores[0, :5, 0] == pytest.approx(0.6)
    assert found.clip_scores[0] == pytest.approx([0.6, 0.0])


@real_media
def test_a_real_dog_is_a_dog_and_films_do_not_fry() -> None:
    detector = load_detector("dcase")
    dog = predict(detector, REAL_MEDIA / "esc10_dog_bark.ogg")
    assert dog.tags == ("Dog",)
    assert {event.label for event in dog.events} == {"Dog"}
    for name in ("mdn_rabbit320.mp4", "imageio_cockatoo.mp4", "esc10_rain.ogg"):
        assert predict(detector, REAL_MEDIA / name).tags == ()


def test_predict_without_a_model_uses_yamnet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tone(tmp_path / "tone.wav")
    assert run_avsed(monkeypatch, "predict", path) == 0
    assert "tags: Alarm_bell_ringing 0.9" in capsys.readouterr().out
    assert run_avsed(monkeypatch, "predict", path, "--classes", "audioset") == 0
    printed = capsys.readouterr().out
    assert "Telephone 0.9" in printed and "Dial tone 0.9" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", ".", "--classes", "dcase"), "--classes: a model has its own classes; omit"),
        (("--weights", "auditory=a.pth"), "--weights: YAMNet's are fixed; name the --model"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_avsed(monkeypatch, "predict", "a.wav", *options) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_the_row_of_the_table_has_the_scores_of_predict(tmp_path: Path) -> None:
    clips_dir, metadata_dir = tmp_path / "clips", tmp_path / "metadata"
    clips_dir.mkdir()
    records = [
        inspect_clip(name, tone(clips_dir / f"{name}.wav", seconds))
        for name, seconds in (("a", 10.0), ("b", 4.0))
    ]
    write_clips(tmp_path / "clips.csv", records)
    classes = ("Alarm_bell_ringing", "Dog")
    write_classes(metadata_dir, classes)
    alarm = (Event(onset=0.0, offset=4.0, label=classes[0]),)
    for split in ("validation", "test"):
        clips = [AnnotatedClip(clip_id=name, tags=classes[:1], events=alarm) for name in ("a", "b")]
        write_list(metadata_dir, split, clips)
    score_zero_shot(
        clips_dir=clips_dir,
        clips_path=tmp_path / "clips.csv",
        metadata_dir=metadata_dir,
        out_path=tmp_path / "scores.h5",
    )
    scored = read_scores(tmp_path / "scores.h5")["test"]
    detector = load_detector(classes)
    for row, name in enumerate(scored.clip_ids):
        found = predict(detector, clips_dir / f"{name}.wav")
        n_valid = int(scored.valid_frames[row])
        assert len(found.frame_scores) == n_valid
        assert scored.seeds[0].frame_scores[row, :n_valid] == pytest.approx(found.frame_scores)
        assert scored.seeds[0].clip_scores[row] == pytest.approx(found.clip_scores)
