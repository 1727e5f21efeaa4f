"""The demo data set: scenes, sounds, images and files."""

import os
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.dataset.annotations import DCASE_2018_CLASSES, SPLITS, Event, read_list, write_list
from avsed.dataset.ffmpeg import ffmpeg_path
from avsed.errors import AvsedError
from avsed.framing import n_samples
from avsed.sources.demo.images import (
    DRAWING_RATE,
    SILENT_SHARE,
    VISIBLE_SHARE,
    appearances,
    draw_images,
)
from avsed.sources.demo.render import VIDEO_RATE, render_audio, render_clip
from avsed.sources.demo.scenes import Scene, annotated, compose
from avsed.sources.demo.sounds import SAMPLE_RATE, synthesize

SMALL = dict.fromkeys(SPLITS, 20)


def scene(*events: Event, duration: float = 4.0, background_level: float = -30.0) -> Scene:
    return Scene(
        clip_id=f"Ydemo_x00000_0.000_{duration:.3f}",
        duration=duration,
        events=events,
        seed=5,
        background_level=background_level,
    )


def level(samples: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(samples**2)))


def decode(path: Path, *options: str) -> bytes:
    command = [ffmpeg_path(), "-v", "error", "-i", str(path), *options, "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Put a script named ffmpeg first in PATH."""

    def install(script: str) -> None:
        path = tmp_path / "bin" / "ffmpeg"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)
        ffmpeg_path.cache_clear()

    yield install
    ffmpeg_path.cache_clear()


def test_same_seed_gives_same_scenes_and_another_seed_others() -> None:
    assert compose(SMALL, 3) == compose(SMALL, 3)
    assert compose(SMALL, 3) != compose(SMALL, 4)


def test_same_scene_gives_same_samples_and_pictures() -> None:
    first, again = compose({"test": 2}, 3)["test"][1], compose({"test": 2}, 3)["test"][1]
    np.testing.assert_array_equal(render_audio(first), render_audio(again))
    np.testing.assert_array_equal(draw_images(first), draw_images(again))


def test_a_plan_depends_neither_on_later_clips_nor_on_other_splits() -> None:
    few = compose({"weak": 0, "test": 7}, 3)
    assert few["test"] == compose(SMALL, 3)["test"][:7]


def test_clip_ids_are_of_the_form_of_dcase_and_differ() -> None:
    scenes = [one for split in compose(SMALL, 3).values() for one in split]
    assert len({one.clip_id for one in scenes}) == len(scenes)
    for one in scenes:
        start, end = one.clip_id[len("Y") + 11 :].lstrip("_").split("_")
        assert float(end) - float(start) == pytest.approx(one.duration, abs=1e-6)


@pytest.mark.parametrize("split", SPLITS)
def test_classes_are_balanced_in_a_small_split(split: str) -> None:
    scenes = compose(SMALL, 3)[split]
    counts = [
        sum(label in {event.label for event in one.events} for one in scenes)
        for label in DCASE_2018_CLASSES
    ]
    assert min(counts) >= 2
    assert max(counts) - min(counts) <= 2


def test_events_lie_inside_their_clip_and_apart_from_those_of_their_class() -> None:
    for one in compose({"weak": 300}, 3)["weak"]:
        assert 1 <= len(one.events) <= 4
        for event in one.events:
            assert 0 <= event.onset < event.offset <= one.duration
        for label in DCASE_2018_CLASSES:
            times = [(e.onset, e.offset) for e in one.events if e.label == label]
            assert all(before[1] < after[0] for before, after in pairwise(times))


@pytest.mark.parametrize("split", SPLITS)
def test_annotations_survive_their_list(split: str, tmp_path: Path) -> None:
    clips = [annotated(one, split) for one in compose(SMALL, 3)[split]]
    write_list(tmp_path, split, clips)
    assert read_list(tmp_path, split, DCASE_2018_CLASSES) == clips


def test_lists_say_no_more_than_their_split_may() -> None:
    one = scene(Event(onset=1, offset=2, label="Dog"))
    assert (annotated(one, "unlabeled").tags, annotated(one, "unlabeled").events) == (None, None)
    assert (annotated(one, "weak").tags, annotated(one, "weak").events) == (("Dog",), None)
    assert annotated(one, "test").events == one.events


@pytest.mark.parametrize("label", DCASE_2018_CLASSES)
def test_a_sound_is_heard_in_its_event_and_not_outside(label: str) -> None:
    audio = render_audio(scene(Event(onset=1.25, offset=2.75, label=label)))
    start, stop = n_samples(1.25, SAMPLE_RATE), n_samples(2.75, SAMPLE_RATE)
    around = level(np.concatenate([audio[:start], audio[stop:]]))
    assert level(audio[start:stop]) > around + 10
    # 0.2 s is the collar within which onsets and offsets are scored.
    collar = n_samples(0.2, SAMPLE_RATE)
    assert level(audio[start : start + collar]) > around + 3
    assert level(audio[stop - collar : stop]) > around + 3


def test_loud_scenes_stay_below_full_scale() -> None:
    events = [Event(onset=0.0, offset=4.0, label=label) for label in DCASE_2018_CLASSES]
    assert np.abs(render_audio(scene(*events, background_level=0.0))).max() < 1


def test_classes_are_told_apart_by_their_spectra() -> None:
    def spectrum(label: str, number: int) -> NDArray[np.float64]:
        sound = synthesize(label, 1.0, np.random.default_rng(number))
        power = np.abs(np.fft.rfft(sound)) ** 2
        edges = np.geomspace(60, len(power) - 1, 33).astype(int)  # 1 s: an index is 1 Hz
        return np.log(np.add.reduceat(power, edges) + 1e-6)

    known = np.array([[spectrum(k, i) for i in range(6)] for k in DCASE_2018_CLASSES]).mean(axis=1)
    right = [
        DCASE_2018_CLASSES[np.argmin(((known - spectrum(label, i)) ** 2).sum(axis=1))] == label
        for label in DCASE_2018_CLASSES
        for i in range(6, 12)
    ]
    assert np.mean(right) > 0.8


def test_most_but_not_all_events_are_seen_and_some_objects_are_silent() -> None:
    scenes = compose({"unlabeled": 400}, 3)["unlabeled"]
    shown = [appearance for one in scenes for appearance in appearances(one)]
    n_seen = sum(appearance.event is not None for appearance in shown)
    assert n_seen / sum(len(one.events) for one in scenes) == pytest.approx(VISIBLE_SHARE, abs=0.05)
    assert (len(shown) - n_seen) / len(scenes) == pytest.approx(SILENT_SHARE, abs=0.06)


def test_sources_are_seen_within_their_events_and_silent_objects_are_not_heard() -> None:
    for one in compose({"unlabeled": 100}, 3)["unlabeled"]:
        for shown in appearances(one):
            if shown.event is None:
                assert shown.label not in {event.label for event in one.events}
            else:
                assert shown.label == shown.event.label
                assert shown.event.onset <= shown.onset < shown.offset <= shown.event.offset


def test_pictures_differ_where_an_object_appears() -> None:
    one = next(s for s in compose({"test": 20}, 3)["test"] if len(appearances(s)) == 1)
    (shown,) = appearances(one)
    images = draw_images(one)
    middles = (np.arange(len(images)) + 0.5) / DRAWING_RATE
    visible = (middles >= shown.onset) & (middles < shown.offset)
    empty = images[~visible]
    assert (empty == empty[0]).all()
    assert (images[visible] != empty[0]).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("duration", [4.321, 10.0])
def test_a_rendered_clip_decodes_to_its_sound_and_duration(duration: float, tmp_path: Path) -> None:
    one = scene(Event(onset=1.0, offset=3.5, label="Speech"), duration=duration)
    render_clip(one, tmp_path / "clip.mp4")
    decoded = np.frombuffer(decode(tmp_path / "clip.mp4", "-f", "f32le"), np.float32)
    audio = render_audio(one)
    assert len(decoded) == pytest.approx(len(audio), abs=1024)  # the length of an AAC frame
    n = min(len(decoded), len(audio))
    assert np.corrcoef(decoded[:n], audio[:n])[0, 1] > 0.9


def test_held_pictures_are_decoded_to_the_same_picture(tmp_path: Path) -> None:
    one = compose({"test": 3}, 3)["test"][2]
    render_clip(one, tmp_path / "clip.mp4")
    raw = decode(tmp_path / "clip.mp4", "-f", "rawvideo", "-pix_fmt", "rgb24")
    images = np.frombuffer(raw, np.uint8).reshape(-1, *draw_images(one).shape[1:])
    assert len(images) == pytest.approx(VIDEO_RATE * one.duration, abs=1)
    drawn = np.repeat(draw_images(one), VIDEO_RATE // DRAWING_RATE, axis=0)[: len(images)]
    assert np.abs(images.astype(int) - drawn).mean() < 5
    n_changes = (images[1:] != images[:-1]).any(axis=(1, 2, 3)).sum()
    assert n_changes < 50


def test_the_same_scene_gives_the_same_file(tmp_path: Path) -> None:
    one = compose({"test": 1}, 3)["test"][0]
    for name in ("first.mp4", "second.mp4"):
        render_clip(one, tmp_path / name)
    assert (tmp_path / "first.mp4").read_bytes() == (tmp_path / "second.mp4").read_bytes()


def test_a_killed_render_leaves_no_file(tmp_path: Path, stand_in: Callable[[str], None]) -> None:
    half = 'for word; do case $word in *.mp4) echo half >"$word";; esac; done'
    stand_in(f"{half}; kill -9 $$")
    (tmp_path / "clips").mkdir()
    with pytest.raises(AvsedError, match="ended by a signal"):
        render_clip(scene(), tmp_path / "clips" / "clip.mp4")
    assert list((tmp_path / "clips").iterdir()) == []


def test_a_failed_render_says_why_in_one_line(
    tmp_path: Path, stand_in: Callable[[str], None]
) -> None:
    stand_in("echo 'it is broken' >&2; echo 'so nothing is written' >&2; exit 1")
    with pytest.raises(AvsedError, match=r"clip.mp4: .* by .*: it is broken") as caught:
        render_clip(scene(), tmp_path / "clip.mp4")
    assert "\n" not in str(caught.value)


def test_an_ffmpeg_without_h264_is_named_with_the_remedy(
    tmp_path: Path, stand_in: Callable[[str], None]
) -> None:
    stand_in("echo \"Unknown encoder 'libx264'\" >&2; exit 1")
    with pytest.raises(AvsedError, match="libx264; take this ffmpeg out of PATH"):
        render_clip(scene(), tmp_path / "clip.mp4")
