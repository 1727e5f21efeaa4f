"""Prediction: the pipeline's scores for clips, joined windows for longer media, and errors."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from avsed.config import load_params
from avsed.dataset.annotations import SPLITS, Event, write_classes, write_list
from avsed.dataset.ffmpeg import ffmpeg_path, run_ffmpeg
from avsed.dataset.inspection import inspect_clip
from avsed.dataset.loading import ClipFeatures
from avsed.dataset.shards import read_features
from avsed.errors import AvsedError
from avsed.evaluation.postprocess import decide_tags, detect_events
from avsed.features.extraction.extract import extract_features
from avsed.features.networks.vggish import Vggish
from avsed.framing import N_FRAMES, SPECTRAL_SAMPLE_RATE
from avsed.model.card import read_model_card
from avsed.model.files import load_student, read_student_weights, save_weights
from avsed.model.score import score_clips, score_variant
from avsed.model.scores import Scores, read_scores
from avsed.params import PAPER_POSTPROCESS
from avsed.prediction.predict import Prediction, join_windows, predict
from avsed.prediction.trained_model import load_model
from avsed.runtime.files import file_sha256
from avsed.sources.demo.render import render_audio, render_clip
from avsed.sources.demo.scenes import Scene, annotated
from avsed.training.batches import open_training_data
from avsed.training.train import train_variant
from tests.conftest import ROOT
from tests.helpers.models import CLASSES, FUSION, PARAMS, RECIPES, spec_of, write_model

CPU = torch.device("cpu")
SCENE = Scene(
    clip_id="Ydemo_x00001_0.000_25.000",
    duration=25.0,
    events=(
        Event(onset=2.0, offset=6.0, label="Speech"),
        Event(onset=8.5, offset=12.0, label="Dog"),
        Event(onset=19.0, offset=22.5, label="Cat"),
    ),
    seed=3,
    background_level=-30.0,
)


def score_in_the_pipeline(model_dir: Path, path: Path, work_dir: Path) -> tuple[Scores, int]:
    """Extract, read back and score one clip as the stages do; return its valid frames too."""
    card = read_model_card(model_dir)
    record = inspect_clip(path.stem, path)
    extract_features(
        {kind: RECIPES[kind] for kind in card.kinds},
        [record],
        clips_dir=path.parent,
        out_dir=work_dir / "features",
    )
    features, valid = {}, 0
    for kind in card.kinds:
        array, frames = read_features(work_dir / "features", kind, [record.clip_id])
        features[kind], valid = torch.from_numpy(array), int(frames[0])
    mask = torch.arange(N_FRAMES)[None] < valid
    clips = ClipFeatures(clip_ids=(record.clip_id,), features=features, mask=mask)
    counted = mask if card.mask_padding else torch.ones_like(mask)
    scores = [
        score_clips(load_student(card, weights, CPU), clips, counted, CPU)
        for weights in sorted(model_dir.glob("seeds/seed-*.safetensors"))
    ]
    return Scores(
        frame_scores=np.mean([one.frame_scores for one in scores], axis=0),
        clip_scores=np.mean([one.clip_scores for one in scores], axis=0),
    ), valid


@pytest.mark.parametrize(
    ("variant", "durations"),
    [
        ("spectral", (6.5, 10.0)),
        pytest.param("spectral+auditory+visual", (6.5,), marks=pytest.mark.slow),
        pytest.param("visual+visual_efficientnet", (6.5,), marks=pytest.mark.slow),
    ],
)
def test_a_clip_has_the_pipelines_scores_tags_and_events_to_the_bit(
    variant: str, durations: tuple[float, ...], tmp_path: Path
) -> None:
    model_dir = write_model(tmp_path / variant, *variant.split("+"), n_seeds=2)
    model = load_model(model_dir, {})
    for duration in durations:
        path = tmp_path / f"{duration}.mp4"
        render_clip(replace(SCENE, duration=duration, events=SCENE.events[:1]), path)
        expected, n_valid = score_in_the_pipeline(model_dir, path, tmp_path / f"{duration}")

        found = predict(model, path)
        assert np.array_equal(found.frame_scores, expected.frame_scores[0, :n_valid])
        assert np.array_equal(found.clip_scores, expected.clip_scores[0])
        assert found.tags == decide_tags(expected.clip_scores[0], threshold=0.5, classes=CLASSES)
        assert found.events == detect_events(
            expected.frame_scores[0],
            classes=CLASSES,
            threshold=0.5,
            settings=PAPER_POSTPROCESS,
            n_valid=n_valid,
            duration=inspect_clip("clip", path).duration,
        )


@pytest.mark.slow
def test_a_trained_variant_gives_a_clip_the_scores_that_its_stage_writes(tmp_path: Path) -> None:
    """Run the stages from media to the file of scores, including training."""
    clips_dir, features_dir, metadata_dir, model_dir = (
        tmp_path / name for name in ("clips", "features", "metadata", "spectral")
    )
    clips_dir.mkdir()
    write_classes(metadata_dir, CLASSES)
    records = []
    for number, split in enumerate(SPLITS):
        scene = replace(SCENE, clip_id=split, duration=7.0, events=SCENE.events[:1], seed=number)
        render_clip(scene, clips_dir / f"{split}.mp4")
        records.append(inspect_clip(split, clips_dir / f"{split}.mp4"))
        write_list(metadata_dir, split, [annotated(scene, split)])
    extract_features(
        {"spectral": RECIPES["spectral"]}, records, clips_dir=clips_dir, out_dir=features_dir
    )
    params = load_params(ROOT / "params.yaml").train
    few = params.model_copy(
        update={"steps": 3, "ramp_steps": 1, "n_weak": 1, "n_unlabeled": 1, "n_seeds": 2}
    )
    train_variant(
        lambda: open_training_data(features_dir, metadata_dir, ("spectral",), made_by=PARAMS),
        FUSION,
        few,
        out_dir=model_dir,
        curve_dir=tmp_path / "curve",
    )
    score_variant(
        model_dir,
        features_dir=features_dir,
        metadata_dir=metadata_dir,
        out_path=tmp_path / "scores.h5",
    )
    scored = read_scores(tmp_path / "scores.h5")["test"]
    n_valid = int(scored.valid_frames[0])
    seeds = scored.seeds.values()

    found = predict(load_model(model_dir, {}), clips_dir / "test.mp4")
    expected = np.mean([scores.frame_scores[0, :n_valid] for scores in seeds], axis=0)
    assert np.array_equal(found.frame_scores, expected)
    expected = np.mean([scores.clip_scores[0] for scores in seeds], axis=0)
    assert np.array_equal(found.clip_scores, expected)


def test_a_model_that_counts_padding_counts_it_here_too(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    render_clip(replace(SCENE, duration=3.0, events=()), path)
    model_dir = write_model(tmp_path / "spectral", "spectral", mask_padding=False)
    expected, _ = score_in_the_pipeline(model_dir, path, tmp_path)
    found = predict(load_model(model_dir, {}), path)
    assert np.array_equal(found.clip_scores, expected.clip_scores[0])


def test_a_short_file_is_decoded_once_to_probe_and_to_score_it(
    clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(write_model(tmp_path / "spectral", "spectral"))
    log = tmp_path / "starts.txt"
    counting = tmp_path / "bin" / "ffmpeg"
    counting.parent.mkdir()
    counting.write_text(f'#!/bin/sh\necho "$@" >> "{log}"\nexec "{ffmpeg_path()}" "$@"\n')
    counting.chmod(0o755)
    monkeypatch.setenv("PATH", str(counting.parent), prepend=os.pathsep)
    ffmpeg_path.cache_clear()
    try:
        predict(model, clip_path)
    finally:
        ffmpeg_path.cache_clear()
    starts = log.read_text().splitlines()
    assert sum("f32le" in start for start in starts) == 1
    # Beside the samples, its header and ffmpeg's list of codecs.
    assert log.read_text().count(f"file:{clip_path}") == 2
    assert len(starts) == 3


def write_audio(path: Path, first: int = 0, last: int | None = None) -> Path:
    """Write samples of the scene, at the spectrogram's rate so that nothing is resampled."""
    samples = np.resize(render_audio(SCENE), round(25.0 * SPECTRAL_SAMPLE_RATE))
    soundfile.write(path, samples[first:last], SPECTRAL_SAMPLE_RATE, subtype="PCM_16")
    return path


def predict_spectral(tmp_path: Path, path: Path) -> Prediction:
    model_dir = write_model(tmp_path / "spectral", "spectral")
    return predict(load_model(model_dir, {}), path)


def test_windows_of_a_long_file_are_scored_like_clips_cut_at_their_places(tmp_path: Path) -> None:
    whole = predict_spectral(tmp_path, write_audio(tmp_path / "whole.wav"))
    assert whole.duration == pytest.approx(25.0)
    assert len(whole.frame_scores) == 378  # 25 s / 66.24 ms, rounded up
    clips = []
    for number in range(4):
        first = number * 101 * 4 * 366  # frames, spectral frames, samples
        cut = write_audio(tmp_path / f"{number}.wav", first, first + 10 * SPECTRAL_SAMPLE_RATE)
        clips.append(predict_spectral(tmp_path, cut))
    # The frames that only one window has.
    for number, (first, last) in enumerate([(0, 101), (151, 202), (252, 303), (353, 378)]):
        own = clips[number].frame_scores[first - 101 * number : last - 101 * number]
        # Sums over a batch of other size differ in their last digits.
        assert np.allclose(whole.frame_scores[first:last], own, rtol=0.0, atol=1e-6)
    # In the middle of those that two have, they count the same.
    middle = (clips[0].frame_scores[125] * 26 + clips[1].frame_scores[24] * 25) / 51
    assert whole.frame_scores[125] == pytest.approx(middle, abs=1e-6)
    largest = np.max([clip.clip_scores for clip in clips], axis=0)
    assert whole.clip_scores == pytest.approx(largest, abs=1e-6)


def test_windows_fade_into_each_other() -> None:
    one, other = np.full((151, 1), 0.2, np.float32), np.full((60, 1), 0.8, np.float32)
    joined = join_windows([(0, one), (101, other)])[:, 0]
    assert len(joined) == 161
    assert (joined[:101] == np.float32(0.2)).all() and (joined[151:] == np.float32(0.8)).all()
    # Weights of 50, 49, ..., 1 and 1, 2, ..., until the other's own end.
    assert joined[101] == pytest.approx((50 * 0.2 + 1 * 0.8) / 51)
    assert joined[102] == pytest.approx((49 * 0.2 + 2 * 0.8) / 51)
    assert (np.diff(joined[100:152]) > 0).all()


def test_scores_that_are_thinned_out_keep_their_peaks(tmp_path: Path) -> None:
    found = predict_spectral(tmp_path, write_audio(tmp_path / "clip.wav", 0, SPECTRAL_SAMPLE_RATE))
    assert np.array_equal(found.highest_scores(1000), found.frame_scores)
    scores = np.zeros((301, 2), np.float32)
    scores[150, 1] = 0.7
    thin = replace(found, frame_scores=scores).highest_scores(10)
    assert np.argwhere(thin).tolist() == [[5, 1]]  # which starts at 5 x 30.1
    assert thin.max() == np.float32(0.7)


def test_what_is_wrong_with_a_file_is_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    render_clip(replace(SCENE, duration=12.0, events=()), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(2000) + whole[len(whole) // 2 + 2000 :])
    assert "damaged" in predict_spectral(tmp_path, path).warning


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.wav", r"absent\.wav: no such file"),
        (".", "is a folder; name the files in it"),
        ("empty.wav", r"empty\.wav: cannot be decoded \(.*\); convert or repair it"),
        ("silent.mp4", r"silent\.mp4: has no audio, but the model needs spectral features; take"),
    ],
)
def test_media_that_cannot_be_scored_are_one_line(
    name: str, message: str, clip_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.wav").touch()
    if name == "silent.mp4":
        remux(clip_path, tmp_path / name, "-an")
    with pytest.raises(AvsedError, match=message) as refusal:
        predict_spectral(tmp_path, tmp_path / name)
    assert "\n" not in str(refusal.value)


def remux(source: Path, target: Path, *arguments: str) -> Path:
    run_ffmpeg(["-i", str(source), "-c", "copy", *arguments, str(target)])
    return target


@pytest.mark.slow
def test_a_model_without_audio_takes_silent_video_and_one_without_pictures_audio(
    clip_path: Path, tmp_path: Path
) -> None:
    silent = remux(clip_path, tmp_path / "silent.mp4", "-an")
    sound = remux(clip_path, tmp_path / "sound.m4a", "-vn")
    visual = load_model(write_model(tmp_path / "visual", "visual_efficientnet"), {})
    assert not predict(visual, silent).has_audio
    with pytest.raises(AvsedError, match=r"sound\.m4a: has no video, but the model needs visual"):
        predict(visual, sound)
    assert predict_spectral(tmp_path, sound).duration == pytest.approx(4.0, abs=0.1)


def test_a_name_with_a_colon_is_a_file_and_no_address(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "12:30 a\ttab.wav", 0, SPECTRAL_SAMPLE_RATE)
    assert predict_spectral(tmp_path, path).name == "12:30 a?tab.wav"


def test_scores_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model_dir = write_model(tmp_path / "spectral", "spectral")
    weights, curve = read_student_weights(model_dir / "seeds" / "seed-00.safetensors")
    weights["classifier.bias"][:] = torch.nan
    save_weights(model_dir / "seeds" / "seed-00.safetensors", weights, curve)
    path = write_audio(tmp_path / "clip.wav", 0, 9999)
    with pytest.raises(AvsedError, match=r"clip\.wav: its scores are NaN or infinite"):
        predict(load_model(model_dir, {}), path)


def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match=r"model\.json: missing or invalid"):
        load_model(tmp_path, {})
    write_model(tmp_path / "spectral", "spectral", n_seeds=0)
    with pytest.raises(AvsedError, match=r"has no seeds/seed-NN\.safetensors; run `dvc repro tr"):
        load_model(tmp_path / "spectral", {})


def edit_card(model_dir: Path, kind: str, **changes: str | int | float) -> None:
    card = json.loads((model_dir / "model.json").read_text())
    card["provenance"][kind] |= changes
    (model_dir / "model.json").write_text(json.dumps(card))


@pytest.mark.slow
def test_other_weights_than_the_models_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_dir = write_model(tmp_path / "auditory", "auditory")
    real = str(spec_of("auditory").provenance["weights_sha256"])
    with pytest.raises(AvsedError, match=r"--weights visual=\.\.\.: .* uses no such network"):
        load_model(model_dir, {"visual": tmp_path / "any.pth"})

    edit_card(model_dir, "auditory", weights_sha256="0" * 64)
    with pytest.raises(AvsedError, match=rf"random weights of SHA-256 0+\.\.\., .*{real[:16]}"):
        load_model(model_dir, {})

    # Weights of one's own: asked for by their hash, found by the path, checked.
    torch.save(Vggish("relu").state_dict(), tmp_path / "own.pth")
    edit_card(model_dir, "auditory", weights="other", weights_sha256="ab" * 32)
    with pytest.raises(AvsedError, match=r"SHA-256 abab.*; give their file by --weights auditory="):
        load_model(model_dir, {})
    with pytest.raises(AvsedError, match=r"weights not found"):
        load_model(model_dir, {"auditory": tmp_path / "absent.pth"})
    with pytest.raises(AvsedError, match=r"made with other weights of SHA-256 abab"):
        load_model(model_dir, {"auditory": tmp_path / "own.pth"})
    edit_card(model_dir, "auditory", weights_sha256=file_sha256(tmp_path / "own.pth"))
    assert load_model(model_dir, {"auditory": tmp_path / "own.pth"}).warnings == []

    # Where the published ones are asked for, they are never replaced by random ones.
    edit_card(model_dir, "auditory", weights="pretrained")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(AvsedError, match="cannot be downloaded"):
        load_model(model_dir, {})


def test_features_made_otherwise_are_refused(tmp_path: Path) -> None:
    model_dir = write_model(tmp_path / "spectral", "spectral")
    edit_card(model_dir, "spectral", extractor="mfcc")
    with pytest.raises(AvsedError, match="made with extractor mfcc, here it is log-mel; use the"):
        load_model(model_dir, {})
    edit_card(model_dir, "spectral", window_length="wide")
    with pytest.raises(AvsedError, match=r"lacks the parameters of its spectral features \(wind"):
        load_model(model_dir, {})


@pytest.mark.slow
def test_a_precision_that_this_machine_lacks_is_said(tmp_path: Path) -> None:
    model_dir = write_model(tmp_path / "auditory", "auditory")
    here = str(spec_of("auditory").provenance["dtype"])
    edit_card(model_dir, "auditory", dtype="torch.float32")
    model = load_model(model_dir, {})
    assert model.extractors["auditory"].spec.provenance["dtype"] == "torch.float32"
    edit_card(model_dir, "auditory", dtype="torch.bfloat16")
    warnings = load_model(model_dir, {}).warnings
    assert warnings == (
        []
        if here == "torch.bfloat16"
        else [
            "the model's auditory features are computed in torch.float32 here; it was trained on "
            "those of torch.bfloat16"
        ]
    )
