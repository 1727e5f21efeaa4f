"""Count the available clips of each split, and report why others are missing (Section 4.1)."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from avsed.dataset.clips import ClipRecord, reason_category
from avsed.errors import AvsedError
from avsed.runtime.files import atomic_write

# Available clips of each split in the paper.
PAPER = {"weak": 1_439, "unlabeled": 13_017, "validation": 259, "test": 779}
WARNING = (
    "A warning in data/clips.csv names the damaged or missing part of a clip, the rest of which is "
    "used, or silence at its end."
)


def count_clips(
    listed: Mapping[str, Sequence[str]], records: Sequence[ClipRecord]
) -> dict[str, dict[str, int]]:
    """Count the available clips of each split.

    Args:
        listed: split to its clips.
        records: one record per clip.

    Returns:
        Split to `available` and `missing`.
    """
    usable = {record.clip_id for record in records if record.status == "ok"}
    counts = {}
    for split, clip_ids in listed.items():
        available = sum(clip_id in usable for clip_id in clip_ids)
        counts[split] = {"available": available, "missing": len(clip_ids) - available}
    return counts


def write_inventory(
    listed: Mapping[str, Sequence[str]],
    records: Sequence[ClipRecord],
    *,
    late_events: Mapping[str, str],
    beside_paper: bool,
    metrics_path: Path,
    report_path: Path,
) -> None:
    """Write the counts of clips for DVC, and a report of missing clips.

    Args:
        listed: split to its clips.
        records: one record per clip.
        late_events: clip to a description of its events past the end of its media.
        beside_paper: whether the lists are those of the paper.
        metrics_path: becomes JSON with the counts.
        report_path: becomes Markdown with tables.
    """
    counts = count_clips(listed, records)
    warned = {record.clip_id for record in records if record.status == "ok" and record.reason}
    with atomic_write(metrics_path) as part:
        part.write_text(json.dumps(counts, indent=2) + "\n", "utf-8")
    lines = ["# Clips", "", *_count_table(counts, listed, warned, beside_paper)]
    if warned:
        lines += ["", WARNING]
    if any(count["missing"] for count in counts.values()):
        lines += ["", "## Why clips are missing", "", *_reason_table(listed, records)]
    if any(record.status == "failed" for record in records):
        lines += ["", "`dvc repro -f collect` retries failed clips."]
    if late_events:
        rows = [[clip_id, text] for clip_id, text in late_events.items()]
        lines += ["", "## Events past the end of the media", "", *_table(["clip", "events"], rows)]
    with atomic_write(report_path) as part:
        part.write_text("\n".join(lines) + "\n", "utf-8")


def require_clips(counts: Mapping[str, Mapping[str, int]], min_fraction: float) -> None:
    """Check that enough clips are available.

    Args:
        counts: returned by `count_clips`.
        min_fraction: required fraction of the clips of each split.

    Raises:
        AvsedError: if a split has fewer clips.
    """
    few = [
        f"{count['available']:,} of {sum(count.values()):,} {split}"
        for split, count in counts.items()
        if count["available"] < min_fraction * sum(count.values())
    ]
    if few:
        raise AvsedError(
            f"only {', '.join(few)} clips are available; download.min_fraction requires "
            f"{min_fraction:.0%} of each split; run this again to try those that failed, or lower "
            "it to go on with what there is"
        )


def _count_table(
    counts: Mapping[str, Mapping[str, int]],
    listed: Mapping[str, Sequence[str]],
    warned: Set[str],
    beside_paper: bool,
) -> list[str]:
    header = ["split", "listed", "available", "share"] + ["in the paper"] * beside_paper
    header += ["with a warning"] * bool(warned)
    rows = []
    for split, count in counts.items():
        n_listed = sum(count.values())
        row = [
            split,
            f"{n_listed:,}",
            f"{count['available']:,}",
            f"{count['available'] / n_listed:.1%}",
        ]
        row += [f"{PAPER[split]:,}"] if beside_paper else []
        row += [f"{len(warned & set(listed[split])):,}"] * bool(warned)
        rows.append(row)
    return _table(header, rows)


def _reason_table(listed: Mapping[str, Sequence[str]], records: Sequence[ClipRecord]) -> list[str]:
    reasons = {
        record.clip_id: (reason_category(record.reason), record.status == "failed")
        for record in records
        if record.status != "ok"
    }
    by_split = {
        split: Counter(reasons[clip_id] for clip_id in clip_ids if clip_id in reasons)
        for split, clip_ids in listed.items()
    }
    total: Counter[tuple[str, bool]] = sum(by_split.values(), Counter())
    rows = [
        [
            kind,
            *(f"{counts[kind, failed]:,}" for counts in by_split.values()),
            "failed" if failed else "gone",
        ]
        for (kind, failed), _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))
    ]
    return _table(["reason", *listed, "status"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in header[1:])]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]
