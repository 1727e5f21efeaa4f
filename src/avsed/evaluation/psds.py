"""Compute polyphonic sound detection scores (PSDS) with sed_scores_eval. Not in the paper.

A detection is valid if enough of it lies in events of its class (detection tolerance), else it is a
false alarm. An event is found if valid detections cover enough of it (ground truth tolerance). The
score is the area under the rate of found events over the rate of false alarms, for all thresholds:
C. Bilen et al., "A framework for the robust evaluation of sound event detection", ICASSP 2020;
J. Ebbers et al., "Threshold-independent evaluation of sound event detection scores", ICASSP 2022.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.annotations import Event
from avsed.framing import CLIP_DURATION, frame_onset

with warnings.catch_warnings():
    # sed_scores_eval imports sed_eval; see metrics.py.
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
        ValueError: if no event is annotated, or scores and reference name different clips.
    """
    present = {event.label for events in reference.values() for event in events}
    if not present:
        raise ValueError("no event is annotated, so PSDS is undefined")
    columns = [k for k, label in enumerate(classes) if label in present]
    # Replace names by numbers: sed_scores_eval fails on a backslash, and takes "onset" for a time.
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
    """Merge events of one class that overlap or touch; sed_scores_eval rejects these."""
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
    # Frames have the times of `decisions_to_events`.
    onsets = [onset for onset in map(frame_onset, range(len(scores))) if onset < clip_end]
    times = np.array([*onsets, min(frame_onset(len(onsets)), clip_end)])
    return create_score_dataframe(scores[: len(onsets)], times, names)


def _without_cross_triggers(tolerances: Mapping[str, float]) -> dict[str, float]:
    # With a single class there are no cross triggers; sed_scores_eval would average over none.
    return {
        name: value
        for name, value in tolerances.items()
        if name not in ("cttc_threshold", "alpha_ct")
    }
