"""The published lists of DCASE 2018 task 4 (Section 4.1), and their clip names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch

from avsed.dataset.annotations import DCASE_2018_CLASSES, AnnotatedClip, read_list_file
from avsed.errors import AvsedError
from avsed.framing import CLIP_DURATION
from avsed.runtime.files import file_sha256
from avsed.runtime.store import store_dir

# The repository of the challenge's baseline: a commit, and its branch. Before August 2019, eval.csv
# lacked the events of 31 files; the hashes below are those of the corrected lists.
PUBLISHED_AT = tuple(
    f"https://raw.githubusercontent.com/DCASE-REPO/dcase2018_baseline/{ref}/task4/dataset/metadata/"
    for ref in ("5c5a0f6", "master")
)
# The challenge's `test` is the paper's validation set, its `eval` the paper's test set.
FILES = {
    "weak": "train/weak.csv",
    "unlabeled": "train/unlabel_in_domain.csv",
    "validation": "test/test.csv",
    "test": "eval/eval.csv",
}
SHA256 = {
    "weak": "92e3c29539a274b4ad980b7536b0ac74f7676e434ccad9bb2df62199f65554f3",
    "unlabeled": "9c584dabde1f67e4252415b48ea9ab7461f2e5a7b938a3b11da0c83eaa39e056",
    "validation": "194e2ef6c7dc358b72202a13911a78ffa937d8440ded7dc68048e37fcad9e7d2",
    "test": "f000d9f352d2487f57a0e40c81ce5317e0bc3cb151b50a993f432e06de6b6705",
}

# The only allowed format of text that becomes part of a URL or a path.
_CLIP_ID = re.compile(r"Y([A-Za-z0-9_-]{11})_(\d+\.\d{3})_(\d+\.\d{3})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """The part of a video that forms a clip.

    Attributes:
        clip_id: `Y<video id>_<start>_<end>`.
        video_id: YouTube's 11 characters, which may begin with `-` or `_`.
        start: seconds from the start of the video.
        duration: seconds, at most `CLIP_DURATION`.
    """

    clip_id: str
    video_id: str
    start: float
    duration: float


def segment_of(clip_id: str) -> Segment:
    """Parse the name of a clip into its video and its position in it.

    Raises:
        AvsedError: if the name does not have the format of the published lists.
    """
    match = _CLIP_ID.fullmatch(clip_id)
    start, end = (float(match[2]), float(match[3])) if match else (0.0, 0.0)
    if not match or start >= end:
        raise AvsedError(
            f"{clip_id}: is not a clip from YouTube; names have the form "
            "Y<11 characters>_<start>_<end>"
        )
    # Subtracting binary fractions would lose the milliseconds of the names.
    duration = min(round(end - start, 3), CLIP_DURATION)
    return Segment(clip_id=clip_id, video_id=match[1], start=start, duration=duration)


def find_lists(lists: str) -> dict[str, Path]:
    """Find the published lists and verify their checksums.

    Args:
        lists: "published", to download lists that are not in the store, or the path of a folder
            with the names of `FILES`.

    Returns:
        Split to file.

    Raises:
        AvsedError: if a list cannot be downloaded or has another checksum.
    """
    if lists == "published":
        return {split: _fetch(split) for split in FILES}
    paths = {split: Path(lists) / name for split, name in FILES.items()}
    for split, path in paths.items():
        if not path.is_file():
            raise AvsedError(
                f"{path}: no such list; download it from {PUBLISHED_AT[0]}{FILES[split]}"
            )
        if file_sha256(path) != SHA256[split]:
            raise AvsedError(
                f"{path}: is not the published list (its SHA-256 is not {SHA256[split][:8]}...; "
                f"line ends may have been changed); download it from "
                f"{PUBLISHED_AT[0]}{FILES[split]}"
            )
    return paths


def read_published(paths: Mapping[str, Path]) -> dict[str, list[AnnotatedClip]]:
    """Read the published lists.

    Args:
        paths: split to file, from `find_lists`.

    Raises:
        AvsedError: if a list is invalid, or a name is not a clip from YouTube.
    """
    lists = {
        split: read_list_file(path, split, DCASE_2018_CLASSES) for split, path in paths.items()
    }
    for clips in lists.values():
        for clip in clips:
            segment_of(clip.clip_id)
    return lists


def _fetch(split: str) -> Path:
    """Download a list into the store, once."""
    folder = store_dir() / "dcase2018"
    name = FILES[split]
    pooch.get_logger().setLevel("ERROR")  # its progress is reported here
    warning: Exception | None = None
    for address in PUBLISHED_AT:
        files = pooch.create(folder, address, registry={name: f"sha256:{SHA256[split]}"})
        try:
            return Path(files.fetch(name))
        except (OSError, ValueError) as error:  # network or disk errors; another checksum
            warning = warning or error
    reason = " ".join(str(warning).split())
    if (folder / name).is_file():
        raise AvsedError(
            f"{folder / name}: is not the published list (its SHA-256 differs; line ends may have "
            f"been changed), and {PUBLISHED_AT[0]}{name} cannot be downloaded ({reason})"
        )
    raise AvsedError(
        f"{PUBLISHED_AT[0]}{name}: cannot be downloaded ({reason}); download it on another "
        f"machine and put it at {folder / name}, or set dataset.lists to a folder with "
        f"{', '.join(FILES.values())}"
    )
