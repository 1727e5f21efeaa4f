"""Extraction: which shards are computed and why, and how damaged clips are handled."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
import torch

from avsed.dataset.clips import ClipRecord
from avsed.dataset.media import Media
from avsed.dataset.shards import clips_with_features, read_features
from avsed.errors import AvsedError
from avsed.features.extraction.extract import extract_features
from avsed.features.extractor import ClipInputs, Extractor, FeatureSpec, Recipe
from avsed.params import Section
from avsed.runtime.files import file_sha256
from tests.conftest import clip_record

RATE = 8_000
LEVELS = {"a": 0.1, "bb": 0.2, "ccc": 0.3, "dddd": 0.4}

asked: list[str] = []  # clips that were prepared
interrupted_at = ""


class Fake(Section):
    """Parameters of an artificial kind of features."""

    scale: float = 1.0
    dims: int = 4


def make_extractor(params: Fake) -> Extractor:
    """Return an extractor whose features are the loudness of the clip."""

    def prepare(media: Media[object], duration: float) -> ClipInputs:
        level = float(media.waveforms[RATE].mean())
        clip_id = min(LEVELS, key=lambda name: abs(LEVELS[name] - level))
        if clip_id == interrupted_at:
            raise KeyboardInterrupt
        asked.append(clip_id)
        rows = torch.full((151, params.dims), params.scale * LEVELS[clip_id])
        return ClipInputs(rows=rows, index=np.arange(151))

    return Extractor(
        spec=FeatureSpec(
            kind="spectral",
            stream="audio",
            n_frames=151,
            dims=params.dims,
            provenance={"scale": params.scale},
        ),
        sample_rate=RATE,
        each_image=None,
        prepare=prepare,
        embed=lambda rows: rows,
        batch_size=100,
    )


@pytest.fixture(autouse=True)
def media(tmp_path: Path) -> None:
    """Create the media of the clips."""
    global interrupted_at
    asked.clear()
    interrupted_at = ""
    (tmp_path / "clips").mkdir()
    for clip_id, level in LEVELS.items():
        soundfile.write(tmp_path / "clips" / f"{clip_id}.wav", np.full(RATE, level), RATE)
    (tmp_path / "clips" / "broken.wav").write_bytes(b"RIFF" * 99)
    hashes.clear()
    hashes.update({path.stem: file_sha256(path) for path in (tmp_path / "clips").iterdir()})


hashes: dict[str, str] = {}  # of the clips' media


def records(*clip_ids: str, mute: tuple[str, ...] = ()) -> list[ClipRecord]:
    return [
        replace(
            clip_record(clip_id, has_audio=clip_id not in mute, has_video=False, duration=5.0),
            sha256=hashes.get(clip_id, ""),
        )
        for clip_id in clip_ids
    ]


def extract(tmp_path: Path, clips: list[ClipRecord], **params: Any) -> Path:
    extract_features(
        {"spectral": Recipe("spectral", make_extractor, Fake(**params))},
        clips,
        clips_dir=tmp_path / "clips",
        out_dir=tmp_path / "features",
        clips_per_shard=2,
    )
    return tmp_path / "features"


def test_features_lie_in_shards_of_about_the_size_asked_for(tmp_path: Path) -> None:
    features_dir = extract(tmp_path, records("a", "bb", "ccc"))
    assert len(list((features_dir / "spectral").glob("part-*.h5"))) == 2
    features, valid_frames = read_features(features_dir, "spectral", ["ccc", "a"])
    assert features[:, 150, 3] == pytest.approx([0.3, 0.1], rel=1e-3)
    assert valid_frames.tolist() == [76, 76]


def test_clips_that_cannot_be_read_are_left_out_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features_dir = extract(tmp_path, records("a", "broken", "mute", mute=("mute",)))
    assert clips_with_features(features_dir, "spectral") == {"a"}
    printed = capsys.readouterr().out
    assert "spectral: 1 of 3 clips" in printed
    assert "left out broken: audio: " in printed
    assert "left out mute: has no audio" in printed
    report = (features_dir / "spectral" / "left_out.csv").read_text().splitlines()
    assert report[1].startswith("broken,")
    assert report[2] == "mute,has no audio"


def test_an_interrupted_extraction_goes_on_with_the_shards_that_are_missing(
    tmp_path: Path,
) -> None:
    global interrupted_at
    interrupted_at = "dddd"
    with pytest.raises(KeyboardInterrupt):
        extract(tmp_path, records(*LEVELS))
    asked.clear()
    interrupted_at = ""
    extract(tmp_path, records(*LEVELS))
    assert sorted(asked) == ["bb", "dddd"]  # the shard that dddd is in
    assert not list(tmp_path.rglob("*.part"))


def test_a_clip_that_is_had_later_makes_its_own_shard_anew_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(tmp_path, records(*LEVELS, mute=("ccc",)))
    assert "spectral: 2 of 2 shards to make: new (2)" in capsys.readouterr().out
    asked.clear()
    extract(tmp_path, records(*LEVELS))
    assert sorted(asked) == ["a", "ccc"]
    printed = capsys.readouterr().out
    assert "spectral: 1 of 2 shards to make: clips came or went (1)" in printed


def test_nothing_is_made_again_that_the_store_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = extract(tmp_path, records(*LEVELS))
    contents = {path: path.read_bytes() for path in first.rglob("part-*.h5")}
    asked.clear()
    for path in contents:
        path.unlink()
    capsys.readouterr()
    extract(tmp_path, records(*LEVELS))
    assert asked == []
    assert {path: path.read_bytes() for path in contents} == contents
    assert "to make" not in capsys.readouterr().out


def test_other_parameters_make_features_anew_and_it_is_said_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(tmp_path, records("a", "bb"))
    capsys.readouterr()
    extract(tmp_path, records("a", "bb"), scale=2.0)
    assert "1 of 1 shards to make: scale is 2.0, was 1.0 (1)" in capsys.readouterr().out
    features, _ = read_features(tmp_path / "features", "spectral", ["a"])
    assert features[0, 0, 0] == pytest.approx(0.2, rel=1e-3)


def test_other_media_make_features_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = records("a", "bb")
    extract(tmp_path, clips)
    capsys.readouterr()
    media = tmp_path / "clips" / "a.wav"
    media.write_bytes(media.read_bytes() + b"other")
    extract(tmp_path, [replace(clips[0], sha256=file_sha256(media)), clips[1]])
    assert "shards to make: clips have other media (1)" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["truncated", "not finite", "gone"])
def test_a_stored_shard_that_is_broken_is_made_again(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(tmp_path, records("a"))
    (stored,) = (tmp_path / "store").rglob("*.h5")
    if how == "truncated":
        content = stored.read_bytes()
        stored.unlink()
        stored.write_bytes(content[: len(content) // 2])
    elif how == "gone":
        stored.unlink()
    else:
        with h5py.File(stored, "r+") as file:
            file["features"][0, 7, 1] = np.nan
    asked.clear()
    capsys.readouterr()
    extract(tmp_path, records("a"))
    assert asked == ["a"]
    assert "1 of 1 shards to make: lost from the store, or damaged (1)" in capsys.readouterr().out
    features, _ = read_features(tmp_path / "features", "spectral", ["a"])
    assert np.isfinite(features).all()


def test_no_clip_with_any_stream_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match=r"no clip has audio or video; see data/clips.csv"):
        extract(tmp_path, records("mute", mute=("mute",)))


def test_features_beyond_float16_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match=r"a.wav: its spectral features are no finite float16"):
        extract(tmp_path, records("a"), scale=1e6)


def test_a_file_that_is_gone_is_no_clip_in_trouble(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match=r"gone.wav: not found, but was collected"):
        extract(tmp_path, records("a", "gone"))


def test_media_that_changed_since_they_were_collected_are_refused(tmp_path: Path) -> None:
    clips = records("a", "bb")
    content = bytearray((tmp_path / "clips" / "bb.wav").read_bytes())
    content[1000] ^= 1
    (tmp_path / "clips" / "bb.wav").write_bytes(content)
    with pytest.raises(AvsedError, match=r"bb.wav: has changed since .*`dvc repro -f collect`"):
        extract(tmp_path, clips)


def test_shards_that_are_no_longer_planned_are_taken_away(tmp_path: Path) -> None:
    features_dir = extract(tmp_path, records(*LEVELS))
    extract(tmp_path, records("a"))
    assert clips_with_features(features_dir, "spectral") == {"a"}


def test_too_little_disk_is_said_before_anything_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(tmp_path, records("a"))
    assert "store: the features take up to 0.00 GB, of " in capsys.readouterr().out
    asked.clear()
    with pytest.raises(AvsedError, match=r"store: the features take up to 302,000,000.00 GB, of"):
        extract(tmp_path, records("a"), scale=2.0, dims=10**15)
    assert asked == []
