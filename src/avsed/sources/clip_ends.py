"""Cut events where clips and their media end, and name these events."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from avsed.dataset.annotations import STRONG_SPLITS, AnnotatedClip, cut_clip
from avsed.dataset.clips import ClipRecord
from avsed.errors import AvsedError
from avsed.framing import CLIP_DURATION, FRAME_HOP

NAMED_AT_MOST = 20  # clips of a list on the console


def require_events(path: Path, split: str, clips: Sequence[AnnotatedClip]) -> None:
    """Check that a strong list has an event to score or to learn.

    Raises:
        AvsedError: if no event starts before the end of its clip.
    """
    n_events = sum(len(clip.events or ()) for clip in clips)
    if any(cut_clip(clip, CLIP_DURATION).events for clip in clips):
        return
    if not n_events:
        raise AvsedError(
            f"{path}: has no events, so that {_useless(split)}; add onset, offset and "
            "event_label of at least one event"
        )
    raise AvsedError(
        f"{path}: none of its {n_events:,} events starts in the first {CLIP_DURATION:g} s, where "
        f"clips end, so that {_useless(split)}; onset and offset are in seconds from the start "
        "of the clip"
    )


def _useless(split: str) -> str:
    return "nothing can be learned" if split == "strong" else "nothing can be scored"


def cut_at_clip_end(clips: Sequence[AnnotatedClip]) -> list[AnnotatedClip]:
    """Truncate events at the end of their clip; drop and report those that start later."""
    n_late = {
        clip.clip_id: sum(event.onset >= CLIP_DURATION for event in clip.events or ())
        for clip in clips
    }
    late = [clip_id for clip_id, n_events in n_late.items() if n_events]
    for clip_id in late[:NAMED_AT_MOST]:
        print(
            f"  {clip_id}: {n_late[clip_id]} events start after {CLIP_DURATION:g} s, the end of a "
            "clip, and are dropped"
        )
    if len(late) > NAMED_AT_MOST:
        print(f"  ... and events of {len(late) - NAMED_AT_MOST:,} more clips")
    return [cut_clip(clip, CLIP_DURATION) for clip in clips]


def find_late_events(
    lists: Mapping[str, Sequence[AnnotatedClip]], records: Sequence[ClipRecord]
) -> dict[str, str]:
    """Find the events that training and scoring truncate or drop because their media end earlier.

    Events truncated by less than a frame, such as by the rounding of a duration, are not counted.

    Args:
        lists: split to its clips, with events cut at the end of the clip.
        records: one record per clip.

    Returns:
        Clip to a description, for the clips with such events.
    """
    ends = {record.clip_id: record.duration for record in records if record.status == "ok"}
    found = {}
    for split in STRONG_SPLITS:
        for clip in lists.get(split, ()):
            end = ends.get(clip.clip_id, CLIP_DURATION)
            events = clip.events or ()
            n_late = sum(event.onset >= end for event in events)
            n_long = sum(event.onset < end < event.offset - FRAME_HOP for event in events)
            if n_late or n_long:
                found[clip.clip_id] = (
                    f"media end at {end:g} s; {n_long} events that end later are truncated, "
                    f"{n_late} that start later are dropped"
                )
    return found


def require_events_in_media(
    lists: Mapping[str, Sequence[AnnotatedClip]], records: Sequence[ClipRecord]
) -> None:
    """Check that the available clips of each strong split have an event within their media.

    Splits without available clips pass.

    Raises:
        AvsedError: if a split has no such event.
    """
    ends = {record.clip_id: record.duration for record in records if record.status == "ok"}
    for split in STRONG_SPLITS:
        clips = [clip for clip in lists.get(split, ()) if clip.clip_id in ends]
        if clips and not any(cut_clip(clip, ends[clip.clip_id]).events for clip in clips):
            raise AvsedError(
                f"{split}: none of the {len(clips):,} available clips has an event that starts "
                f"before its media end, so that {_useless(split)}; add media or correct the "
                "times in the list"
            )
