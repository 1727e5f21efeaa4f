"""Plan the demo data set: the events of each clip, drawn from a seed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from avsed.dataset.annotations import (
    DCASE_2018_CLASSES,
    SPLITS,
    STRONG_SPLITS,
    AnnotatedClip,
    Event,
)
from avsed.framing import CLIP_DURATION

_BRIEF_CLASSES = ("Alarm_bell_ringing", "Cat", "Dishes", "Dog", "Speech")
_BRIEF_DURATIONS = (0.4, 3.0)  # seconds, the shortest and the longest
_STEADY_DURATIONS = (2.0, CLIP_DURATION)
_SHORT_CLIP_SHARE = 0.15
_SHORT_CLIP_DURATIONS = (4.0, 9.9)
_BACKGROUND_LEVELS = (-34.0, -16.0)  # dB
_N_CLASSES_SHARES = (0.5, 0.35, 0.15)  # of the clips with 1, 2 and 3 classes
_MOST_EVENTS = 4
_GAP = 0.5  # seconds between two events of a class: closer ones would be heard as one
_PLACEMENTS_TRIED = 20


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The plan of a demo clip.

    Attributes:
        clip_id: in DCASE's form, `Y<11 characters>_<start>_<end>`.
        duration: seconds, at most `CLIP_DURATION`.
        events: events by onset, those of one class apart.
        seed: seed of the audio and the images.
        background_level: dB relative to an event of full level.
    """

    clip_id: str
    duration: float
    events: tuple[Event, ...]
    seed: int
    background_level: float


def compose(n_clips: Mapping[str, int], seed: int) -> dict[str, list[Scene]]:
    """Plan the clips of each split, with each class in about equally many clips.

    A clip's plan does not depend on how many clips follow it, nor on the other splits.

    Args:
        n_clips: clips to plan for each split, of `SPLITS`.
        seed: 0 or more.

    Returns:
        The scenes of each split named in `n_clips`.
    """
    return {split: _compose_split(split, n, seed) for split, n in n_clips.items()}


def annotated(scene: Scene, split: str) -> AnnotatedClip:
    """Return the annotations of a scene for the list of a split."""
    if split == "unlabeled":
        return AnnotatedClip(clip_id=scene.clip_id)
    return AnnotatedClip(
        clip_id=scene.clip_id,
        tags=tuple(sorted({event.label for event in scene.events})),
        events=scene.events if split in STRONG_SPLITS else None,
    )


def _compose_split(split: str, n_clips: int, seed: int) -> list[Scene]:
    split_number = SPLITS.index(split)
    deck: list[str] = []
    deck_rng = _rng(seed, split_number)
    scenes = []
    for number in range(n_clips):
        rng = _rng(seed, split_number, number)
        n_classes = 1 + int(rng.choice(len(_N_CLASSES_SHARES), p=_N_CLASSES_SHARES))
        labels = _deal(deck, n_classes, deck_rng)
        scenes.append(_compose_clip(f"demo_{split[0]}{number:05d}", labels, rng))
    return scenes


def _rng(seed: int, *key: int) -> np.random.Generator:
    # As a spawn key, (2,) and (2, 0) differ; as plain seeds, [seed, 2] and [seed, 2, 0] do not.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _deal(deck: list[str], n_classes: int, rng: np.random.Generator) -> list[str]:
    """Draw different classes from a shuffled deck, which is refilled when needed."""
    labels: list[str] = []
    while len(labels) < n_classes:
        if set(deck) <= set(labels):
            deck += rng.permutation(DCASE_2018_CLASSES).tolist()
        labels.append(next(label for label in deck if label not in labels))
        deck.remove(labels[-1])
    return labels


def _compose_clip(name: str, labels: list[str], rng: np.random.Generator) -> Scene:
    """Compose a clip with at least one event of each class."""
    duration = CLIP_DURATION
    if rng.random() < _SHORT_CLIP_SHARE:
        duration = round(rng.uniform(*_SHORT_CLIP_DURATIONS), 3)
    start = int(rng.integers(300))
    n_repeated = int(rng.integers(_MOST_EVENTS - len(labels) + 1))
    events: list[Event] = []
    for label in labels + rng.choice(labels, n_repeated).tolist():
        event = _place(label, duration, events, rng)
        if event is not None:
            events.append(event)
    return Scene(
        clip_id=f"Y{name}_{start:.3f}_{start + duration:.3f}",
        duration=duration,
        events=tuple(sorted(events, key=lambda event: (event.onset, event.label))),
        seed=int(rng.integers(2**32)),
        background_level=rng.uniform(*_BACKGROUND_LEVELS),
    )


def _place(
    label: str, duration: float, events: list[Event], rng: np.random.Generator
) -> Event | None:
    """Draw an event apart from others of its class; None if there is no room."""
    shortest, longest = _BRIEF_DURATIONS if label in _BRIEF_CLASSES else _STEADY_DURATIONS
    for _ in range(_PLACEMENTS_TRIED):
        length = rng.uniform(shortest, min(longest, duration))
        onset = rng.uniform(0, duration - length)
        event = Event(onset=round(onset, 3), offset=round(onset + length, 3), label=label)
        if all(
            event.onset - other.offset >= _GAP or other.onset - event.offset >= _GAP
            for other in events
            if other.label == label
        ):
            return event
    return None
