"""Matching of events, and onset and offset errors."""

import itertools

import numpy as np
import pytest

from avsed.dataset.annotations import Event
from avsed.report.page.boundary_errors import BIN_CENTERS, count_boundary_errors, match_events


def event(onset: float, offset: float, label: str = "Cat") -> Event:
    return Event(onset=onset, offset=offset, label=label)


def test_an_event_is_matched_to_the_one_that_overlaps_it_most() -> None:
    true, near, far = event(2, 6), event(3, 7), event(5, 9)  # overlaps of 3/5 and 1/7
    assert match_events([true], [far, near]) == [(true, near)]


def test_events_are_matched_for_the_most_overlap_in_all_not_in_order() -> None:
    first, second = event(0, 4), event(5, 9)
    long, short = event(1, 9), event(0, 2)
    # long overlaps both (3/9 and 4/8), short the first only (2/4).
    assert match_events([first, second], [long, short]) == [(first, short), (second, long)]


@pytest.mark.parametrize("found", [event(6, 8), event(2, 6, "Dog"), event(0, 2)])
def test_events_that_do_not_overlap_or_are_of_another_class_are_not_matched(found: Event) -> None:
    assert match_events([event(2, 6)], [found]) == []


@pytest.mark.parametrize("seed", range(5))
def test_no_other_pairing_overlaps_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, found = (
        [event(onset, onset + rng.uniform(1, 5)) for onset in rng.uniform(0, 5, size=n).tolist()]
        for n in (3, 4)
    )

    def overlap(one: Event, other: Event) -> float:
        shared = min(one.offset, other.offset) - max(one.onset, other.onset)
        lengths = one.offset - one.onset + other.offset - other.onset
        return shared / (lengths - shared) if shared > 0 else 0.0

    best = max(
        sum(overlap(one, other) for one, other in zip(true, order, strict=True))
        for order in itertools.permutations(found, 3)
    )
    matched = sum(overlap(one, other) for one, other in match_events(true, found))
    assert matched == pytest.approx(best)


def test_errors_are_binned_by_class_with_late_ones_positive() -> None:
    reference = {"a": [event(1, 5), event(2, 4, "Dog")], "b": [event(0, 9), event(0, 1, "Dog")]}
    estimated = {"a": [event(1.02, 4.8), event(1.7, 8, "Dog")], "b": [event(0, 9)]}
    errors = count_boundary_errors(reference, estimated, ("Cat", "Dog"))

    def found(counts: np.ndarray) -> dict[float, int]:
        return {BIN_CENTERS[i]: int(counts[i]) for i in np.flatnonzero(counts)}

    assert found(errors.onset[0]) == {0.0: 2}
    assert found(errors.offset[0]) == {-0.2: 1, 0.0: 1}
    assert found(errors.onset[1]) == {-0.3: 1}
    assert found(errors.offset[1]) == {1.1: 1}  # 4 s late: in the last bin, of all beyond 1.05 s
    assert (errors.n_reference, errors.n_estimated) == (4, 3)
