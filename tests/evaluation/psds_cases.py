"""Random cases for PSDS, and their reference values by sed_scores_eval.

The values are in psds_reference.npz. To write them again, install sed_scores_eval 0.0.4 (it needs a
C++ compiler and pandas 2), and run `python -m tests.evaluation.psds_cases`.
"""

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.dataset.annotations import Event
from avsed.framing import CLIP_DURATION, FRAME_HOP, N_FRAMES

REFERENCE_PATH = Path(__file__).parent / "psds_reference.npz"
SEED = 0
N_CASES = 2400
KINDS = (
    "plain",
    "tied scores",
    "events past the last frame",
    "absent classes",
    "single class",
    "clips without events",
    "clips that end within a frame",
    "tolerances met exactly",
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Arguments of `polyphonic_scores`."""

    kind: str
    frame_scores: Mapping[str, NDArray[np.floating]]
    reference: Mapping[str, Sequence[Event]]
    classes: Sequence[str]
    durations: Mapping[str, float]


def make_cases() -> Iterator[Case]:
    """Yield the cases; NumPy guarantees that RandomState's numbers stay the same (NEP 19)."""
    rng = np.random.RandomState(SEED)
    for number in range(N_CASES):
        kind = KINDS[number % len(KINDS)]
        is_large = number % 100 >= 98  # as many frames and classes as in the paper
        n_classes = 10 if is_large else 1 if kind == "single class" else rng.randint(2, 5)
        n_annotated = rng.randint(1, n_classes) if kind == "absent classes" else n_classes
        # The package fails if no count of a class ever changes, as may happen in one or two clips.
        n_clips = rng.randint(10, 20) if is_large else rng.randint(3, 40)
        frame_scores, reference, durations = {}, {}, {}
        for clip in range(n_clips):
            n_frames = N_FRAMES if is_large else rng.randint(1, 25)
            events = _events(rng, kind, n_frames, n_annotated)
            # The first clip has an event, so that no case is undefined.
            is_quiet = kind == "clips without events" and rng.rand() < 0.8
            reference[str(clip)] = [] if clip and is_quiet else events
            frame_scores[str(clip)] = _scores(rng, kind, events, (n_frames, n_classes))
            covered = n_frames * FRAME_HOP
            durations[str(clip)] = (
                covered * (0.2 + 0.8 * rng.rand())
                if kind == "clips that end within a frame"
                else 10.0
            )
        classes = [str(k) for k in range(n_classes)]
        yield Case(
            kind=kind,
            frame_scores=frame_scores,
            reference=reference,
            classes=classes,
            durations=durations,
        )


def _events(rng: np.random.RandomState, kind: str, n_frames: int, n_annotated: int) -> list[Event]:
    """Draw 1 to 4 events, which may overlap."""
    events = []
    for _ in range(rng.randint(1, 5)):
        onset = rng.randint(0, n_frames) * 1.0
        length = 0.2 + 8 * rng.rand()
        if kind == "tolerances met exactly":
            length = float((1, 3, 7, 10)[rng.randint(4)])
        elif kind == "events past the last frame":
            onset += rng.rand() * n_frames
        else:
            onset += rng.rand()
            length = min(length, n_frames + 0.1 - onset)
        events.append(
            Event(
                onset=onset * FRAME_HOP,
                offset=(onset + length) * FRAME_HOP,
                label=str(rng.randint(n_annotated)),
            )
        )
    return events


def _scores(
    rng: np.random.RandomState, kind: str, events: Sequence[Event], shape: tuple[int, int]
) -> NDArray[np.floating]:
    """Draw scores that are higher during most events, and in some runs of other frames."""
    scores = 0.5 * rng.rand() * rng.rand(*shape)
    # 7 frames of a detection of 10, or 3 of an event of 10, meet a tolerance exactly.
    shift = 4 if kind == "tolerances met exactly" else 2
    for event in events:
        first = round(event.onset / FRAME_HOP) + rng.randint(-1, shift)
        end = round(event.offset / FRAME_HOP) + rng.randint(-1, shift)
        scores[max(first, 0) : max(end, 0), int(event.label)] += 0.2 + 0.4 * rng.rand()
    if rng.rand() < 0.2:
        first, column = rng.randint(shape[0]), rng.randint(shape[1])
        scores[first : first + 7, column] += 0.4 * rng.rand()
    if kind == "tied scores":
        return np.round(4 * scores) / 4
    if kind == "tolerances met exactly":
        return np.round(10 * scores) / 10
    return scores.astype(np.float32)


def digest(cases: Sequence[Case]) -> str:
    """Return the SHA-256 of the cases."""
    found = hashlib.sha256()
    for case in cases:
        for clip_id, scores in case.frame_scores.items():
            found.update(scores.tobytes())
            events = [(e.onset, e.offset, int(e.label)) for e in case.reference[clip_id]]
            found.update(np.array([*events, (case.durations[clip_id], 0, 0)]).tobytes())
    return found.hexdigest()


def score_with_sed_scores_eval(case: Case) -> tuple[float, float]:
    """Compute PSDS 1 and 2 with the package; skip the calling test if it is not installed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        package = pytest.importorskip("sed_scores_eval.intersection_based")
        tables = pytest.importorskip("sed_scores_eval.base_modules.scores")
    annotated = {event.label for events in case.reference.values() for event in events}
    columns = [k for k, label in enumerate(case.classes) if label in annotated]
    clip_ends = {clip_id: min(end, CLIP_DURATION) for clip_id, end in case.durations.items()}
    scores = {}
    for clip_id, of_clip in case.frame_scores.items():
        times = np.arange(len(of_clip) + 1) * FRAME_HOP
        n_frames = int((times[:-1] < clip_ends[clip_id]).sum())
        scores[clip_id] = tables.create_score_dataframe(
            of_clip[:n_frames, columns],
            np.minimum(times[: n_frames + 1], clip_ends[clip_id]),
            [case.classes[k] for k in columns],
        )
    arguments = {
        "scores": scores,
        "ground_truth": {clip_id: _union(events) for clip_id, events in case.reference.items()},
        "audio_durations": clip_ends,
        "alpha_st": 1.0,
        "max_efpr": 100.0,
    }
    # Without other classes there are no cross triggers; the package would average over none.
    of_others = {"cttc_threshold": 0.3, "alpha_ct": 0.5} if len(columns) > 1 else {}
    first = package.psds(**arguments, dtc_threshold=0.7, gtc_threshold=0.7)
    second = package.psds(**arguments, dtc_threshold=0.1, gtc_threshold=0.1, **of_others)
    return first[0], second[0]


def _union(events: Sequence[Event]) -> list[tuple[float, float, str]]:
    """Merge events of a class that overlap or touch, which the package refuses."""
    merged: list[tuple[float, float, str]] = []
    for event in sorted(events, key=lambda event: (event.label, event.onset)):
        if merged and merged[-1][2] == event.label and event.onset <= merged[-1][1]:
            onset, offset, _ = merged.pop()
            merged.append((onset, max(offset, event.offset), event.label))
        else:
            merged.append((event.onset, event.offset, event.label))
    return merged


def write_reference() -> None:
    """Write the reference values, the package's version, and the seed and SHA-256 of the cases."""
    cases = list(make_cases())
    np.savez_compressed(
        REFERENCE_PATH,
        psds=np.array([score_with_sed_scores_eval(case) for case in cases]),
        version=version("sed_scores_eval"),
        seed=SEED,
        digest=digest(cases),
    )


if __name__ == "__main__":
    write_reference()
