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
        found: (C,) changes of found events.
        false_alarms: (C,) changes of false alarms.
        last: (S,) last change of each step.
        trigger_change: (N,) the change of each change of cross triggers; few of C x K are not 0.
        trigger_class: (N,) the other class in whose events they are.
        triggers: (N,) changes of cross triggers.
    """

    clip: Integers
    found: Floats
    false_alarms: Floats
    last: Integers
    trigger_change: Integers
    trigger_class: Integers
    triggers: Floats


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
    n_clips = len(frames.clip_first)
    # Detections appear, detections merge, and events are found or lost: those that are counted.
    step = np.concatenate([detections.appears, detections.merges, event_step])
    clip = np.searchsorted(frames.clip_first, detections.row, side="right") - 1
    event_clip = np.searchsorted(frames.clip_first, events[event, 0])
    key = step * n_clips + np.concatenate([clip, clip, event_clip])
    is_false = (~is_valid).astype(np.int64)
    false_alarms = np.concatenate([is_false, -is_false, np.zeros_like(change)])
    found = np.concatenate([np.zeros(2 * len(is_valid), np.int64), change])
    is_counted = (step < detections.n_steps) & ((found != 0) | (false_alarms != 0))
    key, position = np.unique(key[is_counted], return_inverse=True)
    found = np.bincount(position, found[is_counted], len(key))
    false_alarms = np.bincount(position, false_alarms[is_counted], len(key))
    change_of = np.full(len(step), -1)
    change_of[is_counted] = position
    trigger_change, trigger_class, trigger_counts = _sum_triggers(
        change_of[: len(is_valid)],
        change_of[len(is_valid) : 2 * len(is_valid)],
        # Without a weight, they are not needed.
        triggers if scenario.cross_trigger_weight else triggers[:, :0],
    )
    # Changes that cancel are dropped.
    is_changed = (found != 0) | (false_alarms != 0)
    is_changed[trigger_change] = True
    step, clip = np.divmod(key[is_changed], n_clips)
    return _Changes(
        clip=clip,
        found=found[is_changed],
        false_alarms=false_alarms[is_changed],
        last=np.flatnonzero(np.diff(step, append=-1)),
        trigger_change=np.cumsum(is_changed)[trigger_change] - 1,
        trigger_class=trigger_class,
        triggers=trigger_counts,
    )


def _sum_triggers(
    appears: Integers, merges: Integers, triggers: NDArray[np.bool_]
) -> tuple[Integers, Integers, Floats]:
    """Sum the cross triggers of detections by change and class, and drop those that cancel.

    Args:
        appears: (D,) the change at which a detection appears.
        merges: (D,) the change at which it is part of a longer one; -1 if never.
        triggers: (D, K) whether it is a cross trigger in events of a class.

    Returns:
        (N,) change, class and number.
    """
    detection, column = np.nonzero(triggers)
    n_classes = max(triggers.shape[1], 1)
    change = np.concatenate([appears[detection], merges[detection]])
    number = np.repeat([1, -1], len(detection))
    key = (change * n_classes + np.tile(column, 2))[change >= 0]
    key, position = np.unique(key, return_inverse=True)
    sums = np.bincount(position, number[change >= 0], len(key))
    change, column = np.divmod(key[sums != 0], n_classes)
    return change, column, sums[sums != 0]


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
    rate = changes.false_alarms / hours + np.bincount(
        changes.trigger_change,
        trigger_weights[changes.trigger_class] * changes.triggers,
        len(changes.clip),
    )
    drawn_of_change = drawn[changes.clip].astype(np.float64)
    n_found = (drawn_of_change * changes.found).cumsum()[changes.last]
    # Counts return to 0, which rounding errors of sums must not turn into a negative rate.
    rates = np.maximum((drawn_of_change * rate).cumsum()[changes.last].round(9), 0.0)
    return staircase(rates, n_found / n_events)
