"""Compute PSDS in resamples of the clips. Not in the paper.

Detections, and what they find, do not depend on the other clips. They are found once, and reduced
to the steps of the threshold at which a count of a clip changes: most detections only grow. A
resample is then a weighted sum of these changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.annotations import Event
from avsed.evaluation.psds import (
    SCENARIOS,
    SECONDS_PER_HOUR,
    Curve,
    Floats,
    Frames,
    Integers,
    Scenario,
    area_under,
    find_detections,
    find_events,
    judge_detections,
    prepare_frames,
    staircase,
)


@dataclass(frozen=True, kw_only=True)
class _Changes:
    """Changes of the counts of a class, by descending threshold.

    Attributes:
        clip: (C,) of each change.
        counts: (2 + K, C) changes of found events, false alarms, and cross triggers in each class.
        last: (S,) last change of each step.
    """

    clip: Integers
    counts: Floats
    last: Integers


def resampled_scores(
    frame_scores: Mapping[str, NDArray[np.floating[Any]]],
    reference: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
    *,
    durations: Mapping[str, float],
    weights: NDArray[np.int64],
) -> dict[str, Floats]:
    """Compute PSDS 1 and 2 as `polyphonic_scores` does, with each clip as often as it was drawn.

    Args:
        frame_scores: as of `polyphonic_scores`, of n clips.
        reference: likewise.
        classes: likewise.
        durations: likewise.
        weights: (R, n) how often each clip was drawn.

    Returns:
        Each of `SCENARIOS`, (R,) in [0, 1]; NaN if no drawn clip has an event.

    Raises:
        ValueError: under the conditions of `polyphonic_scores`.
    """
    frames = prepare_frames(frame_scores, reference, classes, durations=durations)
    n_events, event_seconds = _sum_events(frames)
    changes = {name: _find_changes(frames, scenario) for name, scenario in SCENARIOS.items()}
    scores: dict[str, list[float]] = {name: [] for name in SCENARIOS}
    for drawn in weights:
        n_drawn, seconds = drawn @ n_events, drawn @ event_seconds
        present = np.flatnonzero(n_drawn)
        for name, scenario in SCENARIOS.items():
            curves = [
                _curve(
                    changes[name][k],
                    drawn,
                    n_events=n_drawn[k],
                    hours=drawn @ frames.clip_lengths / SECONDS_PER_HOUR,
                    trigger_weights=_weigh_triggers(k, present, seconds, scenario),
                )
                for k in present.tolist()
            ]
            scores[name].append(area_under(curves, scenario.deviation_weight) if curves else np.nan)
    return {name: np.array(of_scenario) for name, of_scenario in scores.items()}


def _sum_events(frames: Frames) -> tuple[Integers, Floats]:
    """Return the number and the seconds of events by clip and class, (n, K) each."""
    shape = len(frames.clip_first), frames.n_classes
    n_events, seconds = np.zeros(shape, np.int64), np.zeros(shape)
    for k, events in enumerate(frames.events):
        clip = np.searchsorted(frames.clip_first, events[:, 0])
        np.add.at(n_events[:, k], clip, 1)
        np.add.at(seconds[:, k], clip, events[:, 3] - events[:, 2])
    return n_events, seconds


def _find_changes(frames: Frames, scenario: Scenario) -> list[_Changes]:
    return [_changes_of_class(frames, k, scenario) for k in range(frames.n_classes)]


def _changes_of_class(frames: Frames, column: int, scenario: Scenario) -> _Changes:
    detections = find_detections(frames.scores[:, column])
    is_valid, triggers = judge_detections(frames, column, detections, scenario)
    events = frames.events[column]
    event, event_step, change = find_events(
        frames.times, events, detections, is_valid, scenario.ground_truth_tolerance
    )
    counted = np.column_stack([np.zeros_like(is_valid), ~is_valid, triggers]).astype(np.float64)
    found = np.zeros((len(event), counted.shape[1]))
    found[:, 0] = change
    clip = np.searchsorted(frames.clip_first, detections.row, side="right") - 1
    event_clip = np.searchsorted(frames.clip_first, events[event, 0])
    step = np.concatenate([detections.appears, detections.merges, event_step])
    clip = np.concatenate([clip, clip, event_clip])
    counts = np.concatenate([counted, -counted, found])
    is_step = step < detections.n_steps
    return _compress(step[is_step], clip[is_step], counts[is_step], len(frames.clip_first))


def _compress(step: Integers, clip: Integers, counts: Floats, n_clips: int) -> _Changes:
    """Sum the changes of each step and clip, and drop those that cancel."""
    key, position = np.unique(step * n_clips + clip, return_inverse=True)
    sums = np.stack([np.bincount(position, column, len(key)) for column in counts.T], axis=1)
    changed = np.flatnonzero(sums.any(axis=1))
    step, clip = np.divmod(key[changed], n_clips)
    last = np.flatnonzero(np.diff(step, append=-1))
    return _Changes(clip=clip, counts=np.ascontiguousarray(sums[changed].T), last=last)


def _weigh_triggers(column: int, present: Integers, seconds: Floats, scenario: Scenario) -> Floats:
    """Return what a cross trigger in events of each class adds to the rate per hour, (K,)."""
    weights = np.zeros(len(seconds))
    others = present[present != column]
    if len(others):
        share = scenario.cross_trigger_weight / len(others)
        weights[others] = share * SECONDS_PER_HOUR / seconds[others]
    return weights


def _curve(
    changes: _Changes,
    drawn: NDArray[np.int64],
    *,
    n_events: int,
    hours: float,
    trigger_weights: Floats,
) -> Curve:
    found, false_alarms, *triggers = changes.counts
    rate = false_alarms / hours
    for k in np.flatnonzero(trigger_weights).tolist():
        rate += trigger_weights[k] * triggers[k]
    drawn_of_change = drawn[changes.clip]
    n_found = (drawn_of_change * found).cumsum()[changes.last]
    # Counts return to 0, which rounding errors of sums must not turn into a negative rate.
    rates = np.maximum((drawn_of_change * rate).cumsum()[changes.last].round(9), 0.0)
    return staircase(rates, n_found / n_events)
