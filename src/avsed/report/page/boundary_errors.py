"""Count onset and offset errors of matched events (not in the paper).

Event F1 counts the events within the collars. These histograms show how early or late the others
are, so events are matched by overlap and not, as in sed_eval, by the collars.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from avsed.dataset.annotations import Event

BIN_WIDTH = 0.1  # seconds
_EDGES = BIN_WIDTH * (
    np.arange(22) - 10.5
)  # -1.05 s to 1.05 s, so that one bin has 0 in its middle
# Centers of the 23 bins; the first and the last bin also count all errors beyond them.
BIN_CENTERS = tuple(np.round(BIN_WIDTH * (np.arange(23) - 11), 3).tolist())


@dataclass(frozen=True, kw_only=True)
class BoundaryErrors:
    """Onset and offset errors of a system's matched events.

    Attributes:
        onset: (K, 23) matched events of each class by onset error, in bins of
            `BIN_CENTERS`; positive where the estimated onset is late.
        offset: (K, 23) likewise by offset error.
        n_reference: annotated events, matched or not.
        n_estimated: estimated events, matched or not.
    """

    onset: NDArray[np.int64]
    offset: NDArray[np.int64]
    n_reference: int
    n_estimated: int


def count_boundary_errors(
    reference: Mapping[str, Sequence[Event]],
    estimated: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
) -> BoundaryErrors:
    """Count the onset and offset errors of the events that `match_events` pairs.

    Args:
        reference: annotated events of n clips.
        estimated: estimated events of the same clips.
        classes: the label vocabulary; K classes.
    """
    n_bins = len(BIN_CENTERS)
    onset = np.zeros((len(classes), n_bins), np.int64)
    offset = np.zeros_like(onset)
    row = {label: k for k, label in enumerate(classes)}
    for clip_id, annotated in reference.items():
        for true, found in match_events(annotated, estimated[clip_id]):
            onset[row[true.label], _bin(found.onset - true.onset)] += 1
            offset[row[true.label], _bin(found.offset - true.offset)] += 1
    return BoundaryErrors(
        onset=onset,
        offset=offset,
        n_reference=sum(len(events) for events in reference.values()),
        n_estimated=sum(len(estimated[clip_id]) for clip_id in reference),
    )


def match_events(
    reference: Sequence[Event], estimated: Sequence[Event]
) -> list[tuple[Event, Event]]:
    """Match annotated events of a clip with overlapping estimated events of the same class.

    Matching is one to one, and maximizes the sum of the pairs' intersections over unions.

    >>> dog, late = Event(onset=1, offset=3, label="Dog"), Event(onset=2, offset=4, label="Dog")
    >>> match_events([dog], [late]) == [(dog, late)]
    True

    Args:
        reference: annotated events of a clip.
        estimated: estimated events of the same clip.

    Returns:
        Pairs of an annotated and an estimated event.
    """
    pairs = []
    for label in dict.fromkeys(event.label for event in reference):
        true = [event for event in reference if event.label == label]
        found = [event for event in estimated if event.label == label]
        overlaps = np.array([[_overlap(one, other) for other in found] for one in true])
        overlaps = overlaps.reshape(len(true), len(found))
        for i, j in zip(*linear_sum_assignment(overlaps, maximize=True), strict=True):
            if overlaps[i, j] > 0:
                pairs.append((true[i], found[j]))
    return pairs


def _overlap(one: Event, other: Event) -> float:
    """Compute the intersection over union of two events."""
    intersection = min(one.offset, other.offset) - max(one.onset, other.onset)
    union = max(one.offset, other.offset) - min(one.onset, other.onset)
    return max(intersection, 0.0) / union


def _bin(error: float) -> int:
    return int(np.searchsorted(_EDGES, error, side="right"))
