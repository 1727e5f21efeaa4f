"""Polyphonic sound detection scores: events without a threshold, by sed_scores_eval.

Not in the paper. An event counts where detections cover enough of it (ground truth tolerance), of
those detections that lie enough in events of the class (detection tolerance); others are false
alarms. The score is the area below the rate of events found over the rate of false alarms, as
the threshold falls from 1 to 0: C. Bilen et al., "A framework for the robust evaluation of sound
event detection", ICASSP 2020; J. Ebbers et al., "Threshold-independent evaluation of sound event
detection scores", ICASSP 2022.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.annotations import Event
from avsed.framing import CLIP_DURATION, frame_onset

with warnings.catch_warnings():
    # It imports sed_eval; see metrics.py.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    from sed_scores_eval.base_modules.scores import create_score_dataframe
    from sed_scores_eval.intersection_based import psds

# The two scenarios of DCASE task 4 since 2021: 1 asks for exact times, 2 for the right class.
SCENARIOS: Mapping[str, Mapping[str, float]] = {
    "psds1": {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "alpha_st": 1.0},
    "psds2": {
        "dtc_threshold": 0.1,
        "gtc_threshold": 0.1,
        "cttc_threshold": 0.3,
        "alpha_ct": 0.5,
        "alpha_st": 1.0,
    },
}
MAX_FALSE_ALARM_RATE = 100.0  # per hour of clips


def polyphonic_scores(
    frame_scores: Mapping[str, NDArray[np.floating[Any]]],
    reference: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
    *,
    durations: Mapping[str, float],
) -> dict[str, float]:
    """Score events at all thresholds at once: PSDS 1 and 2.

    A class without an event in these clips has no rate of events found. It is left out with all
    that is detected of it, as from the macro-average F1.

    Args:
        frame_scores: clip to its (T, K) smoothed scores; T, without padding, differs by clip.
        reference: annotated events of the same clips. Those of one class that overlap or touch
            count as one.
        classes: K labels.
        durations: seconds of the clips; more than `CLIP_DURATION` counts as `CLIP_DURATION`.

    Returns:
        Each of `SCENARIOS`, in [0, 1].

    Raises:
        ValueError: if no event is annotated, or the two sides name different clips.
    """
    present = {event.label for events in reference.values() for event in events}
    if not present:
        raise ValueError("no event is annotated, so that there is no rate of events found")
    columns = [k for k, label in enumerate(classes) if label in present]
    # sed_scores_eval takes no backslash in a class's name, and "onset" for a time.
    names = {classes[k]: str(k) for k in columns}
    events = {
        clip_id: [(onset, offset, names[label]) for onset, offset, label in _merged(annotated)]
        for clip_id, annotated in reference.items()
    }
    clip_ends = {clip_id: min(durations[clip_id], CLIP_DURATION) for clip_id in frame_scores}
    tables = {
        clip_id: _score_table(scores[:, columns], list(names.values()), clip_ends[clip_id])
        for clip_id, scores in frame_scores.items()
    }
    return {
        name: float(
            psds(
                scores=tables,
                ground_truth=events,
                audio_durations=clip_ends,
                max_efpr=MAX_FALSE_ALARM_RATE,
                **(tolerances if len(columns) > 1 else _without_cross_triggers(tolerances)),
            )[0]
        )
        for name, tolerances in SCENARIOS.items()
    }


def _merged(events: Sequence[Event]) -> Iterator[tuple[float, float, str]]:
    """Unite events of one class that overlap or touch, which sed_scores_eval refuses."""
    open_events: dict[str, tuple[float, float]] = {}
    for event in sorted(events, key=lambda event: event.onset):
        onset, offset = open_events.get(event.label, (event.onset, event.offset))
        if event.onset > offset:
            yield onset, offset, event.label
            onset = event.onset
        open_events[event.label] = onset, max(offset, event.offset)
    for label, (onset, offset) in open_events.items():
        yield onset, offset, label


def _score_table(scores: NDArray[np.floating[Any]], names: list[str], clip_end: float) -> Any:
    # The frames' times are those of `decisions_to_events`.
    onsets = [onset for onset in map(frame_onset, range(len(scores))) if onset < clip_end]
    times = np.array([*onsets, min(frame_onset(len(onsets)), clip_end)])
    return create_score_dataframe(scores[: len(onsets)], times, names)


def _without_cross_triggers(tolerances: Mapping[str, float]) -> dict[str, float]:
    # A single class has no other to be confused with; sed_scores_eval would average over none.
    return {
        name: value
        for name, value in tolerances.items()
        if name not in ("cttc_threshold", "alpha_ct")
    }
