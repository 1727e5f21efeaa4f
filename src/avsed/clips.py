"""The collected clips: one media file each, and `clips.csv` that says what is in it."""

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from avsed.errors import AvsedError
from avsed.media import DecodeError, probe
from avsed.store import file_sha256, written_whole

Status = Literal["ok", "unavailable", "failed"]


@dataclass(frozen=True, kw_only=True)
class ClipRecord:
    """A row of `clips.csv`.

    Attributes:
        clip_id: the clip's file name without extension.
        file: name of its media file in the clips' folder; empty unless the status is ok.
        status: ok; unavailable (there is no media) or failed (it cannot be decoded, or was not had
            this time).
        reason: why not ok, why a stream is missing, or that the file is cut short; empty otherwise.
            Of clips from YouTube, a word or two for reports, a colon and what was said.
        has_audio: whether its audio can be decoded.
        has_video: whether its pictures can be decoded.
        duration: seconds, at most 10; 0 unless ok.
        sha256: of the media file, in hexadecimal; empty unless ok.
    """

    clip_id: str
    file: str
    status: Status
    reason: str
    has_audio: bool
    has_video: bool
    duration: float
    sha256: str


def missing_clip(clip_id: str, reason: str) -> ClipRecord:
    """Record a clip that has no media."""
    return _without_media(clip_id, "unavailable", reason)


def failed_clip(clip_id: str, reason: str) -> ClipRecord:
    """Record a clip whose media were not had, or cannot be decoded."""
    return _without_media(clip_id, "failed", reason)


def kind_of(reason: str) -> str:
    """Give what reports call a reason: what stands before its colon."""
    return reason.split(":")[0]


def inspect_clip(clip_id: str, path: Path) -> ClipRecord:
    """Decode a clip's media file and record what is in it."""
    try:
        streams = probe(path)
    except DecodeError as error:
        return failed_clip(clip_id, str(error))
    return ClipRecord(
        clip_id=clip_id,
        file=path.name,
        status="ok",
        reason=streams.remark,
        has_audio=streams.has_audio,
        has_video=streams.has_video,
        duration=max(round(streams.duration, 3), 0.001),
        sha256=file_sha256(path),
    )


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
    """Write `clips.csv`, whole or not at all, sorted by clip."""
    with written_whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(
            file, [field.name for field in fields(ClipRecord)], lineterminator="\n"
        )
        writer.writeheader()
        for record in sorted(records, key=lambda record: record.clip_id):
            row = asdict(record)
            row["has_audio"] = int(record.has_audio)
            row["has_video"] = int(record.has_video)
            writer.writerow(row)


def read_clips(path: Path) -> list[ClipRecord]:
    """Read `clips.csv`.

    Raises:
        AvsedError: if it is missing or not as `write_clips` writes it.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                ClipRecord(
                    clip_id=row["clip_id"],
                    file=row["file"],
                    status=row["status"],  # type: ignore[arg-type]
                    reason=row["reason"],
                    has_audio=row["has_audio"] == "1",
                    has_video=row["has_video"] == "1",
                    duration=float(row["duration"]),
                    sha256=row["sha256"],
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError) as error:
        raise AvsedError(f"{path}: is no clip table ({error}); run `dvc repro collect`") from None
