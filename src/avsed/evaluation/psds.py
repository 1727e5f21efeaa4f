"""Compute polyphonic sound detection scores (PSDS). Not in the paper.

A detection is valid if enough of it lies in events of its class (detection tolerance), else it is a
false alarm. An event is found if valid detections cover enough of it (ground truth tolerance). The
score is the area under the rate of found events over the rate of false alarms, for all thresholds:
C. Bilen et al., "A framework for the robust evaluation of sound event detection", ICASSP 2020;
J. Ebbers et al., "Threshold-independent evaluation of sound event detection scores", ICASSP 2022.
The definitions, and the rounding of times, are those of the second paper's package,
sed_scores_eval 0.0.4.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.annotations import Event
from avsed.framing import CLIP_DURATION, frame_onset

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Curve = tuple[Floats, Floats]  # rates of false alarms (ascending) and of found events


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Tolerances, as shares of a duration, and weights of a PSDS."""

    detection_tolerance: float
    ground_truth_tolerance: float
    cross_trigger_tolerance: float
    cross_trigger_weight: float  # of false alarms in events of another class
    deviation_weight: float = 1.0  # of the standard deviation over the classes


# The two scenarios of DCASE task 4 since 2021: 1 asks for exact times, 2 for the right class.
SCENARIOS: Mapping[str, Scenario] = {
    "psds1": Scenario(
        detection_tolerance=0.7,
        ground_truth_tolerance=0.7,
        cross_trigger_tolerance=0.3,
        cross_trigger_weight=0.0,
    ),
    "psds2": Scenario(
        detection_tolerance=0.1,
        ground_truth_tolerance=0.1,
        cross_trigger_tolerance=0.3,
        cross_trigger_weight=0.5,
    ),
}
MAX_FALSE_ALARM_RATE = 100.0  # per hour of clips
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Frames of all clips, one below the other; a separator precedes and follows each clip.

    Attributes:
        scores: (R, K); -inf in separators.
        times: (R,) seconds at which the frame starts; in a separator the end of the clip above.
        covered: (R, K) seconds of each class's events up to this time.
        events: (E, 4) of each class: rows of the clip's first frame and of the separator below,
            onset, offset.
        clip_first: (n,) row of each clip's first frame.
        clip_lengths: (n,) seconds of each clip.
    """

    scores: Floats
    times: Floats
    covered: Floats
    events: Sequence[Floats]
    clip_first: Integers
    clip_lengths: Floats

    @property
    def n_classes(self) -> int:
        """K classes."""
        return len(self.events)


@dataclass(frozen=True, kw_only=True)
class Detections:
    """Detections of a class at all thresholds: the longest runs of frames that reach a threshold.

    As thresholds, the distinct scores suffice. Step i is the threshold at the i-th highest of them.

    Attributes:
        row: (D,) of the first frame with the lowest score in the run; ascending.
        first: (D,) row of the first frame.
        end: (D,) row after the last frame.
        appears: (D,) first step with this detection.
        merges: (D,) first step at which it is part of a longer one, else `n_steps`.
        n_steps: number of steps.
    """

    row: Integers
    first: Integers
    end: Integers
    appears: Integers
    merges: Integers
    n_steps: int

    def count(self, chosen: NDArray[np.bool_]) -> Integers:
        """Count the chosen detections at each step: (D,) to (n_steps,)."""
        changes = np.bincount(self.appears[chosen], minlength=self.n_steps + 1)
        changes -= np.bincount(self.merges[chosen], minlength=self.n_steps + 1)
        return np.cumsum(changes[:-1])


def polyphonic_scores(
    frame_scores: Mapping[str, NDArray[np.floating[Any]]],
    reference: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
    *,
    durations: Mapping[str, float],
) -> dict[str, float]:
    """Compute PSDS 1 and 2.

    A class without an event in these clips is excluded with its detections, as from the
    macro-average F1.

    Args:
        frame_scores: clip to its (T, K) smoothed scores without padding; T depends on the clip.
        reference: annotated events of the same clips. Overlapping or
            touching events of one class are merged.
        classes: K labels.
        durations: seconds of the clips; more than `CLIP_DURATION` counts as `CLIP_DURATION`.

    Returns:
        Each of `SCENARIOS`, in [0, 1].

    Raises:
        ValueError: if no event is annotated, one has another class, a score is NaN, or scores and
            reference name different clips.
    """
    frames = prepare_frames(frame_scores, reference, classes, durations=durations)
    curves = [_curves(frames, k) for k in range(frames.n_classes)]
    return {
        name: area_under([of_class[name] for of_class in curves], scenario.deviation_weight)
        for name, scenario in SCENARIOS.items()
    }


def prepare_frames(
    frame_scores: Mapping[str, NDArray[np.floating[Any]]],
    reference: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
    *,
    durations: Mapping[str, float],
) -> Frames:
    """Stack the frames of all clips; arguments and errors are those of `polyphonic_scores`."""
    if frame_scores.keys() != reference.keys():
        raise ValueError("scores and reference name different clips")
    present = {event.label for events in reference.values() for event in events}
    if not present:
        raise ValueError("no event is annotated, so PSDS is undefined")
    if unknown := sorted(present - set(classes)):
        raise ValueError(f"{unknown[0]!r} is not among the classes {', '.join(classes)}")
    columns = [k for k, label in enumerate(classes) if label in present]
    clip_ends = {clip_id: min(durations[clip_id], CLIP_DURATION) for clip_id in frame_scores}
    frames = _stack(
        {clip_id: scores[:, columns] for clip_id, scores in frame_scores.items()},
        reference,
        [classes[k] for k in columns],
        clip_ends,
    )
    if np.isnan(frames.scores).any():
        raise ValueError("a score is NaN")
    return frames


def _stack(
    frame_scores: Mapping[str, NDArray[np.floating[Any]]],
    reference: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
    clip_ends: Mapping[str, float],
) -> Frames:
    separator = np.full((1, len(classes)), -np.inf)
    scores, times, covered = [separator], [np.zeros(1)], [np.zeros((1, len(classes)))]
    events: list[list[tuple[float, ...]]] = [[] for _ in classes]
    clip_first = []
    n_rows = 1
    for clip_id, clip_scores in frame_scores.items():
        # Frames have the times of `decisions_to_events`; those after the clip's end are omitted.
        onsets = np.array([frame_onset(frame) for frame in range(len(clip_scores) + 1)])
        n_frames = int(np.searchsorted(onsets[:-1], clip_ends[clip_id]))
        scores += [clip_scores[:n_frames], separator]
        times.append(np.minimum(onsets[: n_frames + 1], clip_ends[clip_id]))
        covered.append(np.zeros((n_frames + 1, len(classes))))
        for onset, offset, label in _merged(reference[clip_id]):
            k = classes.index(label)
            covered[-1][:, k] += np.clip(times[-1] - onset, 0.0, offset - onset)
            events[k].append((n_rows, n_rows + n_frames, onset, offset))
        clip_first.append(n_rows)
        n_rows += n_frames + 1
    return Frames(
        scores=np.concatenate(scores, dtype=np.float64),
        times=np.concatenate(times),
        covered=np.concatenate(covered),
        events=[np.array(of_class) for of_class in events],
        clip_first=np.array(clip_first, dtype=np.int64),
        clip_lengths=np.array([clip_ends[clip_id] for clip_id in frame_scores]),
    )


def _merged(events: Sequence[Event]) -> Iterator[tuple[float, float, str]]:
    """Merge events of one class that overlap or touch."""
    open_events: dict[str, tuple[float, float]] = {}
    for event in sorted(events, key=lambda event: event.onset):
        onset, offset = open_events.get(event.label, (event.onset, event.offset))
        if event.onset > offset:
            yield onset, offset, event.label
            onset = event.onset
        open_events[event.label] = onset, max(offset, event.offset)
    for label, (onset, offset) in open_events.items():
        yield onset, offset, label


def find_detections(scores: Floats) -> Detections:
    """Find the detections of a class at all thresholds; scores (R,) with separators."""
    distinct, steps = np.unique(-scores, return_inverse=True)  # separators: the last step
    before = _nearest_above(steps, np.less)
    after = len(steps) - 1 - _nearest_above(steps[::-1], np.less_equal)[::-1]
    # Of a run's lowest frames, the first stands for the run.
    row = np.flatnonzero((steps < len(distinct) - 1) & (steps[before] > steps))
    return Detections(
        row=row,
        first=before[row] + 1,
        end=after[row],
        appears=steps[row],
        merges=np.minimum(steps[before[row]], steps[after[row]]),
        n_steps=len(distinct) - 1,
    )


def _nearest_above(steps: Integers, is_passed: np.ufunc) -> Integers:
    """Find the nearest row above each whose step does not pass; (R,)."""
    nearest = np.arange(-1, len(steps) - 1)
    rows = np.flatnonzero(steps < steps[0])  # all but the separators
    while len(rows):
        rows = rows[is_passed(steps[nearest[rows]], steps[rows])]
        nearest[rows] = nearest[nearest[rows]]  # all rows between these two pass as well
    return nearest


def judge_detections(
    frames: Frames, column: int, detections: Detections, scenario: Scenario
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find which detections of a class are valid, and which of the others are cross triggers.

    Returns:
        (D,) whether it is valid, and (D, K) whether it is a false alarm in events of a class.
    """
    seconds = frames.times[detections.end] - frames.times[detections.first]
    overlap = _rounded(frames.covered[detections.end] - frames.covered[detections.first])  # (D, K)
    is_valid = overlap[:, column] >= _rounded(scenario.detection_tolerance * seconds)
    needed = _rounded(scenario.cross_trigger_tolerance * seconds)
    return is_valid, ~is_valid[:, None] & (overlap >= needed[:, None])


def _curves(frames: Frames, column: int) -> dict[str, Curve]:
    """Compute a class's curve in each scenario."""
    detections = find_detections(frames.scores[:, column])
    duration = sum(frames.clip_lengths.tolist())
    curves = {}
    for name, scenario in SCENARIOS.items():
        is_valid, triggers = judge_detections(frames, column, detections, scenario)
        false_alarm_rate = detections.count(~is_valid) / duration
        others = [other for other in range(frames.n_classes) if other != column]
        if scenario.cross_trigger_weight and others:
            cross_trigger_rates = [  # per second of the other class's events
                detections.count(triggers[:, other]) / np.diff(frames.events[other][:, 2:]).sum()
                for other in others
            ]
            mean_rate = np.mean(cross_trigger_rates, axis=0)
            false_alarm_rate = false_alarm_rate + scenario.cross_trigger_weight * mean_rate
        _, step, change = find_events(
            frames.times,
            frames.events[column],
            detections,
            is_valid,
            scenario.ground_truth_tolerance,
        )
        n_found = np.cumsum(np.bincount(step, change, detections.n_steps + 1)[:-1])
        curves[name] = staircase(
            false_alarm_rate * SECONDS_PER_HOUR, n_found / len(frames.events[column])
        )
    return curves


def find_events(
    times: Floats,
    events: Floats,
    detections: Detections,
    is_valid: NDArray[np.bool_],
    tolerance: float,
) -> tuple[Integers, Integers, Integers]:
    """Find the steps at which valid detections begin or cease to cover an event sufficiently.

    Returns:
        Events, steps up to `n_steps` (which is after the last), and changes: 1, 0 or -1.
    """
    clip_first, clip_end, onsets, offsets = events.T
    # Pairs of an event and a detection in its clip.
    start = np.searchsorted(detections.row, clip_first)
    n_pairs = np.searchsorted(detections.row, clip_end) - start
    event = np.repeat(np.arange(len(events)), n_pairs)
    detection = np.arange(len(event)) + np.repeat(start - np.cumsum(n_pairs) + n_pairs, n_pairs)
    shared = is_valid[detection] * np.maximum(
        np.minimum(times[detections.end[detection]], offsets[event])
        - np.maximum(times[detections.first[detection]], onsets[event]),
        0.0,
    )
    # What is covered of an event changes at the steps where a detection appears or merges. The last
    # step, where all have merged, leads over to the next event.
    n_steps = detections.n_steps + 1
    step = np.concatenate([detections.appears[detection], detections.merges[detection]])
    changes, position = np.unique(np.tile(event, 2) * n_steps + step, return_inverse=True)
    covered = np.cumsum(np.bincount(position, np.concatenate([shared, -shared])))
    event, step = np.divmod(changes, n_steps)
    is_found = _rounded(covered) >= _rounded(tolerance * (offsets - onsets))[event]
    is_found &= step < detections.n_steps
    change = np.diff(is_found.astype(np.int64), prepend=0).astype(np.int64)
    return event.astype(np.int64), step, change


def staircase(rates: Floats, found: Floats) -> Curve:
    """Return the rates of false alarms, ascending, and the best rate of found events up to each."""
    order = np.argsort(rates)
    rates = np.concatenate([[0.0], rates[order]])
    found = np.maximum.accumulate(np.concatenate([[0.0], found[order]]))
    is_counted = rates <= MAX_FALSE_ALARM_RATE
    return rates[is_counted], found[is_counted]


def area_under(curves: Sequence[Curve], deviation_weight: float) -> float:
    """Compute the area under the mean curve less the weighted deviation, in [0, 1]."""
    rates = np.unique(np.concatenate([rates for rates, _ in curves]))
    found = [
        found[np.searchsorted(of_class, rates, side="right") - 1] for of_class, found in curves
    ]
    height = np.mean(found, axis=0) - deviation_weight * np.std(found, axis=0)
    widths = np.diff(rates, append=MAX_FALSE_ALARM_RATE)
    return float(np.maximum(height, 0.0) @ widths / MAX_FALSE_ALARM_RATE)


def _rounded(seconds: NDArray[Any]) -> Floats:
    # Rounding errors must not decide whether a tolerance is met.
    return np.round(seconds, 6)
