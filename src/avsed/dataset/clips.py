"""The table of collected clips, `clips.csv`: one media file per clip and its streams."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from avsed.errors import AvsedError, show
from avsed.framing import CLIP_DURATION
from avsed.runtime.files import atomic_write

Status = Literal["ok", "unavailable", "failed"]
_BOOLS = {"0": False, "1": True}


@dataclass(frozen=True, kw_only=True)
class ClipRecord:
    """A row of `clips.csv`.

    Attributes:
        clip_id: the clip's file name without extension.
        file: name of its media file in the folder of clips; empty unless the status is ok.
        status: ok; unavailable (there is no media); failed (could not be decoded or downloaded;
            the next run retries).
        reason: why the status is not ok, or a warning about a missing stream, damage or silence;
            else empty. For clips from YouTube: a category for reports, a colon and the message.
        has_audio: whether its audio can be decoded.
        has_video: whether its images can be decoded.
        duration: seconds, at most 10; 0 unless ok.
        sha256: SHA-256 of the media file, in hexadecimal; empty unless ok.
    """

    clip_id: str
    file: str
    status: Status
    reason: str
    has_audio: bool
    has_video: bool
    duration: float
    sha256: str

    def __post_init__(self) -> None:
        """Check the values, since records are read from files.

        Raises:
            ValueError: if the status is invalid, or the file or duration does not match it.
        """
        if self.status not in get_args(Status):
            raise ValueError(f"status is {show(self.status)}")
        # Media are read from the folder of clips only.
        is_name = Path(self.file).name == self.file != ".." and "\0" not in self.file
        if not is_name or bool(self.file) != (self.status == "ok"):
            raise ValueError(f"file is {show(self.file)}")
        if not 0 <= self.duration <= CLIP_DURATION or bool(self.duration) != bool(self.file):
            raise ValueError(f"duration is {self.duration}")


def missing_clip(clip_id: str, reason: str) -> ClipRecord:
    """Record a clip that has no media."""
    return _without_media(clip_id, "unavailable", reason)


def failed_clip(clip_id: str, reason: str) -> ClipRecord:
    """Record a clip whose media could not be downloaded or decoded."""
    return _without_media(clip_id, "failed", reason)


def reason_category(reason: str) -> str:
    """Return the category of a reason for reports: the part before its colon."""
    return reason.split(":")[0]


def _without_media(clip_id: str, status: Status, reason: str) -> ClipRecord:
    return ClipRecord(
        clip_id=clip_id,
        file="",
        status=status,
        reason=reason,
        has_audio=False,
        has_video=False,
        duration=0.0,
        sha256="",
    )


def write_clips(path: Path, records: Iterable[ClipRecord]) -> None:
    """Write `clips.csv` atomically, sorted by clip."""
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(
            file, [field.name for field in fields(ClipRecord)], lineterminator="\n"
        )
        writer.writeheader()
        for record in sorted(records, key=lambda record: record.clip_id):
            row = asdict(record)
            row["has_audio"] = int(record.has_audio)
            row["has_video"] = int(record.has_video)
            row["reason"] = " ".join(record.reason.split())  # csv does not quote all line ends
            writer.writerow(row)


def read_clips(path: Path) -> list[ClipRecord]:
    """Read `clips.csv`.

    Raises:
        AvsedError: if it is missing or invalid, with the line.
    """
    records: dict[str, ClipRecord] = {}
    where = f"{path}"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, strict=True)
            names = next(rows, [])
            if names != [field.name for field in fields(ClipRecord)]:
                raise ValueError(f"columns are {show(', '.join(names))}")
            for row in rows:
                where = f"{path}, line {rows.line_num}"
                record = _record(dict(zip(names, row, strict=True)))
                if record.clip_id in records:
                    raise ValueError(f"{show(record.clip_id)} is listed twice")
                records[record.clip_id] = record
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise AvsedError(
            f"{where}: is not a valid clip table ({reason}); run `dvc repro collect`"
        ) from None
    return list(records.values())


def _record(row: Mapping[str, str]) -> ClipRecord:
    if not {row["has_audio"], row["has_video"]} <= _BOOLS.keys():
        raise ValueError("has_audio and has_video must be 0 or 1")
    return ClipRecord(
        clip_id=row["clip_id"],
        file=row["file"],
        status=row["status"],  # type: ignore[arg-type]
        reason=row["reason"],
        has_audio=_BOOLS[row["has_audio"]],
        has_video=_BOOLS[row["has_video"]],
        duration=float(row["duration"]),
        sha256=row["sha256"],
    )
