"""Damaged media, from files to features: reported or complete, without effect on other clips."""

import csv
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from avsed.config import load_params
from avsed.dataset.clips import ClipRecord
from avsed.dataset.ffmpeg import ffmpeg_path
from avsed.dataset.inspection import inspect_clip
from avsed.dataset.shards import read_features
from avsed.features.extraction.check import check_shards
from avsed.features.extraction.extract import extract_features
from avsed.features.extractor import Extractor, Recipe
from avsed.framing import valid_frames
from avsed.params import Auditory, Spectral, Visual
from tests.conftest import ROOT
from tests.helpers.extractors import extractor

pytestmark = pytest.mark.slow

PICTURES = ("-f", "lavfi", "-i", "testsrc=duration={}:size=96x64:rate=10")
TONE = ("-f", "lavfi", "-i", "sine=frequency=440:duration={}:sample_rate=44100")
SILENCE = ("-f", "lavfi", "-t", "{}", "-i", "anullsrc=channel_layout=mono:sample_rate=44100")
ALL = ("spectral", "auditory", "visual")
SOUND = ("spectral", "auditory")

# Name to how it is made: seconds, inputs, further options, extension.
MADE = {
    "good": (2.0, (*PICTURES, *TONE), (), "mp4"),
    "no_audio": (2.0, PICTURES, (), "mp4"),
    "no_video": (2.0, TONE, (), "m4a"),
    "silent": (2.0, (*PICTURES, *SILENCE), (), "mp4"),
    "brief": (0.3, (*PICTURES, *TONE), (), "mp4"),
    "long": (11.0, (*PICTURES, *TONE), (), "mp4"),
    "mono": (2.0, (*PICTURES, *TONE), ("-ac", "1"), "mp4"),
    "surround": (2.0, (*PICTURES, *TONE), ("-ac", "6"), "mp4"),
    "low_rate": (2.0, (*PICTURES, *TONE), ("-ar", "8000"), "mp4"),
    "high_rate": (2.0, (*PICTURES, *TONE), ("-ar", "96000"), "mp4"),
}
# Name to seconds that it lasts and the kinds of features that it has.
EXPECTED = {
    "good": (2.0, ALL),
    "no_audio": (2.0, ("visual",)),
    "no_video": (2.0, SOUND),
    "silent": (2.0, ALL),
    "brief": (0.3, ALL),
    "long": (10.0, ALL),
    "mono": (2.0, ALL),
    "surround": (2.0, ALL),
    "low_rate": (2.0, ALL),
    "high_rate": (2.0, ALL),
    "wrong_extension": (2.0, ALL),
    "empty": (0.0, ()),
    "truncated": (0.0, ()),
    "cut_short": (0.8, ALL),
    "no_media": (0.0, ()),
}


@pytest.fixture(scope="module")
def clips_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name, (duration, inputs, options, extension) in MADE.items():
        named = [word.format(duration) for word in inputs]
        path = folder / f"{name}.{extension}"
        subprocess.run([ffmpeg_path(), "-v", "error", *named, *options, str(path)], check=True)
    good = (folder / "good.mp4").read_bytes()
    (folder / "wrong_extension.wav").write_bytes(good)
    (folder / "empty.mp4").write_bytes(b"")
    # With the index first, half of a file can be decoded.
    indexed = folder / "indexed.mp4"
    remux = ("-i", str(folder / "good.mp4"), "-c", "copy", "-movflags", "+faststart")
    subprocess.run([ffmpeg_path(), "-v", "error", *remux, str(indexed)], check=True)
    (folder / "cut_short.mp4").write_bytes(indexed.read_bytes()[: indexed.stat().st_size // 2])
    indexed.unlink()
    (folder / "truncated.mp4").write_bytes(good[: len(good) * 2 // 3])
    (folder / "no_media.mp4").write_bytes(b"<html>not found</html>" * 99)
    return folder


@pytest.fixture(scope="module")
def records(clips_dir: Path) -> dict[str, ClipRecord]:
    return {path.stem: inspect_clip(path.stem, path) for path in sorted(clips_dir.iterdir())}


def test_each_file_is_recorded_as_what_it_is(records: dict[str, ClipRecord]) -> None:
    assert records.keys() == EXPECTED.keys()
    for name, (duration, kinds) in EXPECTED.items():
        record = records[name]
        assert record.status == ("ok" if kinds else "failed"), name
        assert record.has_audio == ("spectral" in kinds), name
        assert record.has_video == ("visual" in kinds), name
        assert record.duration == pytest.approx(duration, abs=0.07), name
        assert bool(record.reason) == (not kinds or name in ("cut_short", "silent")), name
    assert records["silent"].reason == "its audio is silent"
    assert "its audio ends at 0.8 s of 2.0 s" in records["cut_short"].reason
    assert "damaged: " in records["cut_short"].reason


KINDS = {Spectral: "spectral", Auditory: "auditory", Visual: "visual"}


@cache
def make_extractor(params: Spectral | Auditory | Visual) -> Extractor:
    """Set up an extractor with the mean of each of the network's inputs in place of its outputs.

    These files test decoding and the front ends; the networks would take half a minute.
    """
    real = extractor(KINDS[type(params)])
    if isinstance(params, Spectral):  # which has no network
        return real
    dims, n_frames = real.spec.dims, real.spec.n_frames

    def embed(rows: Tensor) -> Tensor:
        means = rows.flatten(1).mean(1)
        if isinstance(params, Auditory):  # a row is a whole clip
            return means[:, None, None].expand(-1, n_frames, dims)
        return means[:, None].expand(-1, dims)

    return replace(real, embed=embed)


@pytest.mark.parametrize("kind", ALL)
def test_features_are_whole_and_what_has_none_is_named(
    kind: str, records: dict[str, ClipRecord], clips_dir: Path, tmp_path: Path
) -> None:
    params = load_params(ROOT / "params.yaml").section_of(kind)
    recipe = Recipe(kind, make_extractor, params)
    features_dir = tmp_path / "features"
    extract_features(
        {kind: recipe}, list(records.values()), clips_dir=clips_dir, out_dir=features_dir
    )
    assert check_shards(features_dir, kind, list(records.values())).errors == []

    having = [name for name, (_, kinds) in EXPECTED.items() if kind in kinds]
    with (features_dir / kind / "left_out.csv").open() as file:
        left_out = {row["clip_id"]: row["reason"] for row in csv.DictReader(file)}
    assert left_out.keys() == EXPECTED.keys() - set(having)
    assert all(left_out.values())

    features, frames = read_features(features_dir, kind, having)
    for name, values, n_valid in zip(having, features, frames, strict=True):
        assert n_valid == valid_frames(records[name].duration), name
        assert np.isfinite(values).all(), name
    # The same sound and pictures, whatever the container is called.
    same = [features[having.index(name)] for name in having if name == "wrong_extension"]
    for values in same:
        assert np.array_equal(values, features[having.index("good")])
