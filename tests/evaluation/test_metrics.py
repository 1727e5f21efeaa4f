"""The three F1 scores against values computed by hand, plain counting and sed_eval's averages."""

import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal, TypeVar

import numpy as np
import pytest
from sed_eval.audio_tag import AudioTaggingMetrics
from sed_eval.sound_event import EventBasedMetrics, SegmentBasedMetrics

from avsed.dataset.annotations import Event
from avsed.errors import AvsedError
from avsed.evaluation.metrics import (
    SegmentErrors,
    class_f1,
    count_events,
    count_segment_errors,
    count_segments,
    count_tags,
    macro_f1,
    micro_f1,
)

CLASSES = ("Cat", "Dog", "Speech")

Found = TypeVar("Found")


def event(onset: float, offset: float, label: str = "Cat") -> Event:
    return Event(onset=onset, offset=offset, label=label)


def clip_f1(
    reference: Mapping[str, Sequence[str]], estimated: Mapping[str, Sequence[str]]
) -> float:
    return float(micro_f1(count_tags(reference, estimated, CLASSES).sum(axis=0)))


def events_f1(
    reference: Mapping[str, Sequence[Event]],
    estimated: Mapping[str, Sequence[Event]],
    *,
    collar: float = 0.2,
    offset_collar: Literal["larger", "smaller"] = "larger",
    offset_collar_share: float = 0.2,
) -> float:
    counts = count_events(
        reference,
        estimated,
        CLASSES,
        collar=collar,
        offset_collar=offset_collar,
        offset_collar_share=offset_collar_share,
    )
    return float(macro_f1(counts.sum(axis=0)))


def segments_f1(
    reference: Mapping[str, Sequence[Event]],
    estimated: Mapping[str, Sequence[Event]],
    *,
    segment_length: float = 1.0,
) -> float:
    counts = count_segments(reference, estimated, CLASSES, segment_length=segment_length)
    return float(micro_f1(counts.sum(axis=0)))


def active_seconds(clips: Mapping[str, Sequence[Event]]) -> set[tuple[str, int, str]]:
    return {
        (clip_id, second, event.label)
        for clip_id, events in clips.items()
        for event in events
        for second in range(10)
        if event.onset < second + 1 and event.offset > second
    }


def f1_of_sets(reference: set[Found], estimated: set[Found]) -> float:
    return 2 * len(reference & estimated) / (len(reference) + len(estimated))


def random_tags(rng: np.random.Generator, n_clips: int) -> dict[str, tuple[str, ...]]:
    return {
        f"clip{i}": tuple(label for label in CLASSES if rng.random() < 0.4) for i in range(n_clips)
    }


def random_events(rng: np.random.Generator, n_clips: int) -> dict[str, list[Event]]:
    return {
        f"clip{i}": [
            event(onset, onset + rng.uniform(0.3, 2), str(rng.choice(CLASSES)))
            for onset in rng.uniform(0, 8, size=rng.integers(0, 4))
        ]
        for i in range(n_clips)
    }


# Clips


def test_clip_f1_by_hand() -> None:
    reference = {"a": ("Cat", "Dog"), "b": ("Speech",)}
    estimated = {"a": ("Cat",), "b": ("Speech", "Dog")}
    # Two hits, one miss (Dog in a), one false alarm (Dog in b): 2 x 2 / (2 x 2 + 1 + 1).
    assert clip_f1(reference, estimated) == pytest.approx(2 / 3)


@pytest.mark.parametrize("seed", range(5))
def test_clip_f1_equals_counting_tags(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, estimated = random_tags(rng, 30), random_tags(rng, 30)
    counted = f1_of_sets(
        {(clip_id, tag) for clip_id, tags in reference.items() for tag in tags},
        {(clip_id, tag) for clip_id, tags in estimated.items() for tag in tags},
    )
    assert clip_f1(reference, estimated) == pytest.approx(counted, abs=1e-12)


def test_a_false_tag_in_a_clip_without_tags_lowers_clip_f1() -> None:
    reference = {"a": ("Cat",), "quiet": ()}
    # One hit, one false alarm: 2 / 3.
    assert clip_f1(reference, {"a": ("Cat",), "quiet": ("Dog",)}) == pytest.approx(2 / 3)
    assert clip_f1(reference, {"a": ("Cat",), "quiet": ()}) == 1.0


def test_clip_f1_of_all_tags_everywhere_follows_from_their_share() -> None:
    reference = {"a": ("Cat",), "b": ("Cat", "Dog"), "c": ()}
    everything = dict.fromkeys(reference, CLASSES)
    # Three tags of nine: precision 1/3, recall 1.
    assert clip_f1(reference, everything) == pytest.approx(0.5)


# Segments


def test_segment_f1_by_hand() -> None:
    reference = {"a": [event(0.5, 2.5)]}  # seconds 0, 1 and 2
    estimated = {"a": [event(1.1, 3.9)]}  # seconds 1, 2 and 3
    assert segments_f1(reference, estimated) == pytest.approx(2 / 3)


def test_an_event_that_ends_with_a_segment_does_not_touch_the_next() -> None:
    assert segments_f1({"a": [event(9.5, 10.0)]}, {"a": [event(9.0, 10.0)]}) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_segment_f1_equals_counting_active_seconds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, estimated = random_events(rng, 20), random_events(rng, 20)
    counted = f1_of_sets(active_seconds(reference), active_seconds(estimated))
    assert segments_f1(reference, estimated) == pytest.approx(counted, abs=1e-12)


def test_segment_length_is_in_seconds() -> None:
    reference, estimated = {"a": [event(0.0, 1.0)]}, {"a": [event(0.0, 2.0)]}
    assert segments_f1(reference, estimated, segment_length=2) == 1.0
    assert segments_f1(reference, estimated, segment_length=1) == pytest.approx(2 / 3)


@pytest.mark.parametrize("length", ["0.1", "0.2", "0.25", "0.02", "0.3", "0.5", "1", "2", "0.7"])
def test_events_on_the_grid_of_segments_touch_no_others(length: str) -> None:
    """All onsets and offsets that are multiples of the length, as decimal numbers."""
    step, n_segments = Decimal(length), min(int(10 / Decimal(length)), 40)
    events = {
        f"{first}-{end}": [event(float(first * step), float(end * step))]
        for first in range(n_segments)
        for end in range(first + 1, n_segments + 1)
    }
    nothing: dict[str, list[Event]] = {clip_id: [] for clip_id in events}
    counts = count_segments(events, nothing, ("Cat",), segment_length=float(length))
    expected = [
        end - first for first in range(n_segments) for end in range(first + 1, n_segments + 1)
    ]
    assert counts[:, 0, 2].tolist() == expected


def test_a_segment_touched_by_a_millisecond_counts_at_any_length() -> None:
    for length in (0.1, 0.3, 1.0, 2.0):
        touched = {"a": [event(length - 0.001, 2 * length + 0.001)]}
        counts = count_segments(touched, {"a": []}, ("Cat",), segment_length=length)
        assert counts[0, 0].tolist() == [0, 0, 3]


def test_segment_errors_are_counted_on_the_same_segments() -> None:
    reference, estimated = {"a": [event(1.2, 1.5)]}, {"a": [event(1.2, 1.4, "Dog")]}
    errors = count_segment_errors(reference, estimated, CLASSES, segment_length=0.1)
    assert errors == SegmentErrors(substitutions=2, deletions=1, insertions=0, n_reference=3)


def test_at_one_second_counts_are_those_of_sed_eval_to_the_last_bit() -> None:
    # Sums of 0.1 lie around whole seconds by less than any tolerance.
    times = np.cumsum(np.full(100, 0.1)).tolist()
    for onset, offset in zip(times, times[7:], strict=False):
        metrics = SegmentBasedMetrics(["Cat"], time_resolution=1.0)
        metrics.evaluate([{"onset": onset, "offset": offset, "event_label": "Cat"}], [])
        counts = count_segments(
            {"a": [event(onset, offset)]}, {"a": []}, ("Cat",), segment_length=1
        )
        assert counts[0, 0, 2] == metrics.overall["Nfn"] == math.ceil(offset) - math.floor(onset)


@pytest.mark.parametrize(("onset", "n_hits"), [(1.0, 1), (2.0, 0)])
def test_a_distance_of_exactly_the_collar_counts_as_in_sed_eval(onset: float, n_hits: int) -> None:
    """1.2 - 1.0 is below 0.2 in binary numbers, 2.2 - 2.0 above."""
    counts = count_events(
        {"a": [event(onset + 0.2, onset + 2)]},
        {"a": [event(onset, onset + 2)]},
        ("Cat",),
        collar=0.2,
        offset_collar="larger",
        offset_collar_share=0.2,
    )
    assert counts[0, 0, 0] == n_hits


def test_a_false_event_in_a_clip_without_events_lowers_segment_f1() -> None:
    reference = {"a": [event(0, 1)], "quiet": []}
    estimated = {"a": [event(0, 1)], "quiet": [event(3, 4)]}
    assert segments_f1(reference, estimated) == pytest.approx(2 / 3)


def test_segment_f1_of_all_classes_everywhere_follows_from_their_share() -> None:
    reference = {"a": [event(0, 5), event(0, 10, "Dog")]}
    everything = {"a": [event(0, 10, label) for label in CLASSES]}
    # 15 of 30 active: precision 1/2, recall 1.
    assert segments_f1(reference, everything) == pytest.approx(2 / 3)


# Events


def test_kinds_of_segment_errors_by_hand() -> None:
    reference = {"a": [event(0, 3), event(1, 2, "Dog")], "b": []}
    # Second by second: Dog for Cat; Dog missed; Speech added. In b, Cat added.
    estimated = {
        "a": [event(0, 1, "Dog"), event(1, 3), event(2, 3, "Speech")],
        "b": [event(0, 1)],
    }
    errors = count_segment_errors(reference, estimated, CLASSES, segment_length=1.0)
    assert errors == SegmentErrors(substitutions=1, deletions=1, insertions=2, n_reference=4)


def test_event_f1_by_hand() -> None:
    reference = {"a": [event(1.0, 2.0), event(4.0, 5.0), event(1.0, 3.0, "Dog")]}
    estimated = {"a": [event(1.1, 2.1), event(4.5, 5.0), event(1.0, 3.0, "Dog")]}
    # Cat: one hit, one miss, one false alarm (its onset is 0.5 s late): 1/2. Dog: 1.
    assert events_f1(reference, estimated) == pytest.approx(0.75)


@pytest.mark.parametrize("shift", [-0.19, 0.19])
def test_an_onset_within_the_collar_is_found(shift: float) -> None:
    assert events_f1({"a": [event(1.0, 3.0)]}, {"a": [event(1.0 + shift, 3.0)]}) == 1.0


@pytest.mark.parametrize("shift", [-0.21, 0.21])
def test_an_onset_beyond_the_collar_is_missed(shift: float) -> None:
    assert events_f1({"a": [event(1.0, 9.0)]}, {"a": [event(1.0 + shift, 9.0)]}) == 0.0


def test_a_long_event_has_the_share_as_its_larger_offset_collar() -> None:
    reference, estimated = {"a": [event(1.0, 6.0)]}, {"a": [event(1.0, 6.5)]}
    # 0.5 s late: within 20% of 5 s, not within 0.2 s.
    assert events_f1(reference, estimated, offset_collar="larger") == 1.0
    assert events_f1(reference, estimated, offset_collar="smaller") == 0.0


def test_a_short_event_has_the_share_as_its_smaller_offset_collar() -> None:
    reference, estimated = {"a": [event(1.0, 1.5)]}, {"a": [event(1.0, 1.65)]}
    # 0.15 s late: within 0.2 s, not within 20% of 0.5 s.
    assert events_f1(reference, estimated, offset_collar="larger") == 1.0
    assert events_f1(reference, estimated, offset_collar="smaller") == 0.0


def test_an_offset_within_both_collars_is_found_by_the_smaller() -> None:
    reference = {"a": [event(1.0, 1.5), event(2.0, 8.0, "Dog")]}
    estimated = {"a": [event(1.0, 1.59), event(2.0, 8.19, "Dog")]}
    assert events_f1(reference, estimated, offset_collar="smaller") == 1.0


def test_the_share_is_of_the_reference_event() -> None:
    reference, estimated = {"a": [event(1.0, 2.0)]}, {"a": [event(1.0, 2.29)]}
    # 0.29 s late: within 25% of the estimated 1.29 s, not of the reference's 1 s.
    assert events_f1(reference, estimated, collar=0.1, offset_collar_share=0.25) == 0.0


def test_a_class_never_estimated_counts_as_zero() -> None:
    reference = {"a": [event(1, 2), event(5, 6, "Dog")]}
    assert events_f1(reference, {"a": [event(1, 2)]}) == 0.5


def test_a_class_without_reference_is_left_out_with_its_false_events() -> None:
    reference = {"a": [event(1, 2), event(5, 6, "Dog")]}
    estimated = {"a": [event(1, 2), event(5, 6, "Dog"), event(3, 4, "Speech")]}
    assert events_f1(reference, estimated) == 1.0


def test_a_false_event_in_a_clip_without_events_lowers_event_f1() -> None:
    reference = {"a": [event(1, 2)], "quiet": []}
    estimated = {"a": [event(1, 2)], "quiet": [event(1, 2)]}
    assert events_f1(reference, estimated) == pytest.approx(2 / 3)


def test_an_event_is_found_once() -> None:
    reference = {"a": [event(1.0, 2.0)]}
    estimated = {"a": [event(1.0, 2.0), event(1.1, 2.1)]}
    assert events_f1(reference, estimated) == pytest.approx(2 / 3)


def test_events_are_matched_for_the_most_hits_not_in_order() -> None:
    reference = {"a": [event(1.0, 2.0), event(1.3, 2.2)]}
    # The first fits both, the second only the first reference event.
    estimated = {"a": [event(1.15, 2.1), event(0.85, 2.0)]}
    assert events_f1(reference, estimated) == 1.0


def test_an_event_of_another_clip_is_not_found() -> None:
    assert events_f1({"a": [event(1, 2)], "b": []}, {"a": [], "b": [event(1, 2)]}) == 0.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("offset_collar", ["larger", "smaller"])
def test_event_f1_equals_counting_where_no_events_compete(
    seed: int, offset_collar: Literal["larger", "smaller"]
) -> None:
    rng = np.random.default_rng(seed)
    reference: dict[str, list[Event]] = {}
    estimated: dict[str, list[Event]] = {}
    hits = dict.fromkeys(CLASSES, 0)
    for i in range(60):  # one pair of events a clip, 20 of each class
        label = CLASSES[i % 3]
        early, late, length = rng.uniform(0, 0.4), rng.uniform(0, 0.4), rng.uniform(0.3, 3)
        reference[f"clip{i}"] = [event(2, 2 + length, label)]
        estimated[f"clip{i}"] = [event(2 - early, 2 + length + late, label)]
        collar = {"larger": max, "smaller": min}[offset_collar](0.2, 0.2 * length)
        hits[label] += early <= 0.2 and late <= collar
    counted = np.mean([hits[label] / 20 for label in CLASSES])
    assert events_f1(reference, estimated, offset_collar=offset_collar) == pytest.approx(counted)


# Counts


def test_counts_by_clip_and_class_by_hand() -> None:
    reference = {"a": [event(1, 2), event(5, 6, "Dog")], "b": [event(1, 2)]}
    estimated = {"a": [event(1, 2), event(3, 4)], "b": [event(1, 2, "Speech")]}
    found, nothing, missed, false = [1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 0]
    assert count_events(
        reference,
        estimated,
        CLASSES,
        collar=0.2,
        offset_collar="larger",
        offset_collar_share=0.2,
    ).tolist() == [[[1, 1, 0], missed, nothing], [missed, nothing, false]]
    tags = {"a": ("Cat", "Dog"), "b": ("Cat",)}
    assert count_tags(tags, {"a": ("Cat",), "b": ("Speech",)}, CLASSES).tolist() == [
        [found, missed, nothing],
        [missed, nothing, false],
    ]


def test_a_class_without_reference_has_no_f1() -> None:
    f1 = class_f1(np.array([[2, 1, 1], [0, 3, 0], [0, 0, 2]]))
    assert f1.tolist() == pytest.approx([2 / 3, math.nan, 0.0], nan_ok=True)


def test_f1_is_computed_over_all_leading_axes() -> None:
    counts = np.random.default_rng(0).integers(0, 4, size=(2, 5, 3, 3))
    for average in (micro_f1, macro_f1):
        one_by_one = [[float(average(inner)) for inner in outer] for outer in counts]
        assert average(counts).tolist() == one_by_one


@pytest.mark.parametrize("seed", range(5))
def test_the_sum_of_counts_gives_the_averages_of_sed_eval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, estimated = random_events(rng, 20), random_events(rng, 20)
    estimated |= {clip_id: reference[clip_id] for clip_id in list(reference)[:5]}
    segments = SegmentBasedMetrics(list(CLASSES), time_resolution=1.0)
    events = EventBasedMetrics(list(CLASSES), t_collar=0.2, percentage_of_length=0.2)
    for clip_id in reference:
        both = [
            [{"onset": e.onset, "offset": e.offset, "event_label": e.label} for e in side[clip_id]]
            for side in (reference, estimated)
        ]
        segments.evaluate(*both)
        events.evaluate(*both)
    assert segments_f1(reference, estimated) == pytest.approx(
        segments.results_overall_metrics()["f_measure"]["f_measure"], abs=1e-12
    )
    assert events_f1(reference, estimated) == pytest.approx(
        events.results_class_wise_average_metrics()["f_measure"]["f_measure"], abs=1e-12
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_sum_of_counted_tags_gives_the_micro_average_of_sed_eval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, estimated = random_tags(rng, 30), random_tags(rng, 30)
    metrics = AudioTaggingMetrics(tags=list(CLASSES))
    metrics.evaluate(
        *(
            [{"filename": clip_id, "tags": list(tags)} for clip_id, tags in side.items()]
            for side in (reference, estimated)
        )
    )
    assert clip_f1(reference, estimated) == pytest.approx(
        metrics.results_overall_metrics()["f_measure"]["f_measure"], abs=1e-12
    )


# All three


def test_a_perfect_estimate_scores_one() -> None:
    rng = np.random.default_rng(0)
    tags, events = random_tags(rng, 20), random_events(rng, 20)
    assert clip_f1(tags, tags) == 1.0
    assert segments_f1(events, events) == 1.0
    assert events_f1(events, events, offset_collar="smaller") == 1.0


def test_estimating_nothing_scores_zero() -> None:
    assert clip_f1({"a": ("Cat",)}, {"a": ()}) == 0.0
    assert segments_f1({"a": [event(1, 2)]}, {"a": []}) == 0.0
    assert events_f1({"a": [event(1, 2)]}, {"a": []}) == 0.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_estimated", [0, 1])
def test_f1_without_any_reference_is_nan_without_a_warning(n_estimated: int) -> None:
    assert math.isnan(clip_f1({"a": ()}, {"a": ("Cat",) * n_estimated}))
    assert math.isnan(segments_f1({"a": []}, {"a": [event(1, 2)] * n_estimated}))
    assert math.isnan(events_f1({"a": []}, {"a": [event(1, 2)] * n_estimated}))


def test_no_clips_at_all_are_nan() -> None:
    assert math.isnan(clip_f1({}, {}))
    assert math.isnan(segments_f1({}, {}))
    assert math.isnan(events_f1({}, {}))


def test_clips_on_one_side_only_are_refused() -> None:
    with pytest.raises(ValueError, match=r"1 clips .* such as b"):
        clip_f1({"a": ()}, {"a": (), "b": ("Cat",)})
    with pytest.raises(ValueError, match="such as a"):
        segments_f1({"a": []}, {})
    with pytest.raises(ValueError, match="such as b"):
        events_f1({}, {"b": []})


def test_labels_outside_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="'Bird' is not among the classes"):
        clip_f1({"a": ("Cat",)}, {"a": ("Bird",)})
    with pytest.raises(ValueError, match="'Bird' is not among the classes"):
        segments_f1({"a": [event(1, 2, "Bird")]}, {"a": []})
    with pytest.raises(ValueError, match="'Bird' is not among the classes"):
        events_f1({"a": [event(1, 2)]}, {"a": [event(1, 2, "Bird")]})


def test_a_class_named_none_is_refused() -> None:
    with pytest.raises(AvsedError, match="rename the class"):
        count_segments({}, {}, ("None", "Cat"), segment_length=1.0)


def test_an_unknown_offset_collar_is_refused() -> None:
    with pytest.raises(ValueError, match="one of larger, smaller"):
        events_f1({}, {}, offset_collar="both")  # type: ignore[arg-type]


def test_importing_the_metrics_warns_of_nothing() -> None:
    # A fresh interpreter: modules warn at their first import only.
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "default",
            "-c",
            "import avsed.evaluation.psds, avsed.evaluation.metrics",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pkg_resources" not in done.stderr
