"""Find clips, videos and file names that the lists of a data set share."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, combinations_with_replacement
from pathlib import Path

N_EXAMPLES = 3

# Usual names of clips from YouTube: the video's id alone, or with the start, or start and end.
_VIDEO = re.compile(r"Y?([A-Za-z0-9_-]{11})(_\d+(\.\d+)?){0,2}", re.ASCII)


def find_shared_clips(
    paths: Mapping[str, Path], clip_ids: Mapping[str, Sequence[str]]
) -> list[str]:
    """Find clips in two lists, so that no training clip is tested on.

    Args:
        paths: split to list.
        clip_ids: split to its clips.

    Returns:
        An error for each.
    """
    return [
        f"{paths[second]} and {paths[first]}: both list {clip_id}; remove the clip from one of them"
        for first, second in combinations(clip_ids, 2)
        for clip_id in sorted(set(clip_ids[first]).intersection(clip_ids[second]))
    ]


def find_shared_names(
    paths: Mapping[str, Path], clip_ids: Mapping[str, Sequence[str]]
) -> list[str]:
    """Find different clips of one video, and names that differ only in case.

    Arguments are those of `find_shared_clips`.

    Returns:
        A warning for each pair of lists, or list, with examples.
    """
    warnings = []
    for (first, second), pairs in _like_pairs(clip_ids, video_of).items():
        which = "several clips" if first == second else "clips in both"
        what = f"{_count(pairs, 'YouTube video')} (by the name) with {which} {examples(pairs)}"
        warnings.append(f"{_files(paths, first, second)}: {what}")
    for (first, second), pairs in _like_pairs(clip_ids, str.lower).items():
        warnings.append(
            f"{_files(paths, first, second)}: {_count(pairs, 'pair')} of names that differ only in "
            f"upper and lower case, one file on some file systems {examples(pairs)}"
        )
    return warnings


def video_of(clip_id: str) -> str | None:
    """Return the id of a clip's video on YouTube, by its name; None if it has no such name.

    >>> [video_of(f"{name}") for name in ("Yabcdefghi-k_30.000_40.000", "abcdefghi-k_30_40", "dog")]
    ['abcdefghi-k', 'abcdefghi-k', None]
    """
    match = _VIDEO.fullmatch(clip_id)
    return match[1] if match else None


def examples(names: Sequence[str]) -> str:
    """Format a few names in parentheses."""
    more = ", ..." if len(names) > N_EXAMPLES else ""
    return f"({', '.join(names[:N_EXAMPLES])}{more})"


def _like_pairs(
    clip_ids: Mapping[str, Sequence[str]], key_of: Callable[[str], str | None]
) -> dict[tuple[str, str], list[str]]:
    """Find different clips with the same key.

    Returns:
        Pair of splits, or one split twice, to two such clips per key.
    """
    groups: dict[str, dict[str, list[str]]] = {}
    for split, names in clip_ids.items():
        for name in names:
            if key := key_of(name):
                groups.setdefault(key, {}).setdefault(split, []).append(name)
    found: dict[tuple[str, str], list[str]] = {}
    for group in groups.values():
        for splits in combinations_with_replacement(group, 2):
            pairs = (f"{a} and {b}" for a in group[splits[0]] for b in group[splits[1]] if a != b)
            if pair := next(pairs, None):
                found.setdefault(splits, []).append(pair)
    return found


def _count(pairs: Sequence[str], noun: str) -> str:
    return f"{len(pairs):,} {noun if len(pairs) == 1 else noun + 's'}"


def _files(paths: Mapping[str, Path], first: str, second: str) -> str:
    return f"{paths[first]}" if first == second else f"{paths[first]} and {paths[second]}"
