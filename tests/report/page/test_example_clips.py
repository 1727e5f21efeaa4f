"""The choice of example clips, for counts computed by hand."""

import numpy as np
import pytest

from avsed.evaluation.counts import CountedClips
from avsed.report.page.example_clips import WITH_VISION, WITHOUT_VISION, ExampleClip, choose_clips

Found = tuple[int, int]  # hits and misses


def counted(*seeds: dict[str, Found]) -> CountedClips:
    """Return counts of one class in the same clips, for each seed."""
    return CountedClips(
        clip_ids=tuple(seeds[0]),
        seeds={
            str(seed): {
                "segment_f1": np.array([[[hits, 0, misses]] for hits, misses in clips.values()])
            }
            for seed, clips in enumerate(seeds)
        },
    )


def choose(with_vision: CountedClips, without_vision: CountedClips) -> list[ExampleClip]:
    both = {WITH_VISION: with_vision, WITHOUT_VISION: without_vision}
    return choose_clips(both, {variant: tuple(both[variant].seeds) for variant in both})


def chosen(clips: list[ExampleClip]) -> list[tuple[str, str]]:
    return [(clip.reason, clip.clip_id) for clip in clips]


def test_best_worst_and_two_each_of_gain_and_loss() -> None:
    fused = {"a": (8, 0), "b": (0, 4), "c": (3, 1), "d": (2, 2), "e": (2, 2), "f": (1, 3)}
    audio = {"a": (8, 0), "b": (0, 4), "c": (0, 4), "d": (1, 3), "e": (3, 1), "f": (4, 0)}
    clips = choose(counted(fused), counted(audio))
    assert chosen(clips) == [
        ("best", "a"),
        ("worst", "b"),
        ("gain", "c"),
        ("gain", "d"),
        ("loss", "f"),
        ("loss", "e"),
    ]
    # Recall 3/4 without false alarms: F1 6/7; recall 1/4: 2/5.
    assert clips[2].with_vision == pytest.approx(600 / 7)
    assert clips[2].without_vision == 0.0
    assert clips[4].gain == pytest.approx(40 - 100)


def test_the_measure_is_averaged_over_seeds() -> None:
    steady = {"a": (2, 2), "b": (4, 0)}
    other = {"a": (4, 0), "b": (0, 4)}
    best = choose(counted(steady, other), counted(steady))[0]
    assert best.clip_id == "a"
    assert best.with_vision == pytest.approx((200 / 3 + 100) / 2)


def test_of_equal_clips_the_longer_annotated_then_the_first_by_name_is_chosen() -> None:
    equal = counted({"d": (3, 0), "c": (6, 0), "b": (6, 0), "a": (1, 0)})
    # The worst is as good as the best, which is taken; nothing gains or loses.
    assert chosen(choose(equal, equal)) == [("best", "b"), ("worst", "c")]


def test_clips_without_annotated_events_or_without_vision_are_not_chosen() -> None:
    fused = counted({"silent": (0, 0), "seen": (1, 1)})
    audio = counted({"silent": (0, 0), "seen": (1, 1), "unseen": (2, 0)})
    assert chosen(choose(fused, audio)) == [("best", "seen")]


def test_two_variants_without_a_common_clip_have_none_to_show() -> None:
    assert choose(counted({"a": (1, 0)}), counted({"b": (1, 0)})) == []
