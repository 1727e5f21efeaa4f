"""Divide recordings into clips of 10 s, with the events of each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from avsed.dataset.annotations import AnnotatedClip, Event
from avsed.errors import AvsedError
from avsed.framing import CLIP_DURATION
from avsed.labels.cleaning import make_clip
from avsed.labels.recordings import Remarks

SLIVER = 0.05  # seconds; shorter pieces of events at a border are dropped
_LONGEST_NAME = 230  # characters of a recording's name: windows add 18, and 4 are an extension


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of a recording that becomes a clip.

    Attributes:
        onset: seconds from the start of the recording.
        offset: seconds, at most `CLIP_DURATION` later.
    """

    onset: float
    offset: float

    def clip_id(self, recording: str) -> str:
        """Return the name of the clip; two windows or recordings never have the same.

        Raises:
            AvsedError: if the name of the recording is too long.

        >>> Window(onset=10.0, offset=12.5).clip_id("street")
        'street_0010.000_0012.500'
        """
        if len(recording) > _LONGEST_NAME:
            raise AvsedError(
                f"{recording}: the names of its clips would be too long; rename the recording to "
                f"at most {_LONGEST_NAME} characters, in the lists too"
            )
        return f"{recording}_{self.onset:08.3f}_{self.offset:08.3f}"


def plan_windows(duration: float, shortest: float) -> list[Window]:
    """Divide a recording into windows of 10 s.

    Args:
        duration: seconds of the recording.
        shortest: seconds; a shorter rest at the end is no window, unless it is all there is.

    Returns:
        At least one window.

    >>> [window.offset for window in plan_windows(21.5, 1.0)]
    [10.0, 20.0, 21.5]
    """
    duration = math.floor(duration * 1000) / 1000  # names have milliseconds
    windows = []
    for number in range(max(1, math.ceil(duration / CLIP_DURATION))):
        onset = number * CLIP_DURATION
        offset = min(onset + CLIP_DURATION, duration)
        if not number or offset - onset >= shortest:
            windows.append(Window(onset=onset, offset=offset))
    return windows


def cut_annotations(
    clip: AnnotatedClip, windows: Sequence[Window], remarks: Remarks
) -> list[AnnotatedClip]:
    """Return the clip of each window, with its part of the recording's events.

    An event across a border is in both clips. Pieces shorter than `SLIVER` are dropped if there
    is a longer one.

    Args:
        clip: a recording with events.
        windows: of the recording.
        remarks: counts events across borders, and those outside of all windows.
    """
    pieces: dict[Window, list[Event]] = {window: [] for window in windows}
    for event in clip.events or ():
        place = f"{clip.clip_id} at {event.onset:g} s: {event.label}"
        parts = {window: part for window in windows if (part := _part(event, window))}
        lengths = {window: part.offset - part.onset for window, part in parts.items()}
        least = min(SLIVER, max(lengths.values(), default=0.0)) - 1e-6  # for rounding
        kept = {window: part for window, part in parts.items() if lengths[window] >= least}
        if not kept:
            remarks.add("dropped events after the last clip of a recording", place)
        if len(kept) > 1:
            remarks.add("changed events across a border, in each clip that they touch", place)
        if len(kept) < len(parts):
            remarks.add(f"dropped pieces of events shorter than {SLIVER:g} s at a border", place)
        for window, part in kept.items():
            pieces[window].append(part)
    return [
        make_clip(window.clip_id(clip.clip_id), dict.fromkeys(events))
        for window, events in pieces.items()
    ]


def _part(event: Event, window: Window) -> Event | None:
    """Return an event's part in a window, from its start; None if it does not touch it."""
    # Differences of binary fractions are rounded to microseconds: 12.3 - 10 is not 2.3.
    onset = round(max(event.onset, window.onset) - window.onset, 6)
    offset = round(min(event.offset, window.offset) - window.onset, 6)
    return Event(onset=onset, offset=offset, label=event.label) if onset < offset else None
