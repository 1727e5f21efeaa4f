"""Write predictions as console text, DCASE's TSV, JSON and Audacity's labels."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from avsed.errors import AvsedError
from avsed.framing import FRAME_HOP
from avsed.prediction.predict import Prediction
from avsed.runtime.files import atomic_write

SCORE_DIGITS = 4
_EVENTS_HEADER = "filename\tonset\toffset\tevent_label"


def format_prediction(prediction: Prediction) -> str:
    """Return the tags and events as text for the console."""
    scores = dict(zip(prediction.classes, prediction.clip_scores.tolist(), strict=True))
    tags = ", ".join(f"{tag} {scores[tag]:.2f}" for tag in prediction.tags)
    if not tags:
        highest = max(scores, key=lambda label: scores[label])
        tags = f"none (highest: {highest} {scores[highest]:.2f})"
    lines = [f"{prediction.name}: {prediction.duration:.2f} s", f"  tags: {tags}"]
    if prediction.events:
        lines.append(f"  {'onset':>9} {'offset':>9}  event")
    lines += [
        f"  {event.onset:9.2f} {event.offset:9.2f}  {event.label}" for event in prediction.events
    ]
    return "\n".join(lines)


def write_prediction(prediction: Prediction, folder: Path) -> None:
    """Write `NAME.json` and `NAME.txt` (labels for Audacity) of a file."""
    with atomic_write(folder / f"{prediction.name}.json") as part:
        part.write_text(json.dumps(_as_json(prediction), ensure_ascii=False) + "\n", "utf-8")
    with atomic_write(folder / f"{prediction.name}.txt") as part:
        part.write_text(
            "".join(
                f"{event.onset:.6f}\t{event.offset:.6f}\t{event.label}\n"
                for event in prediction.events
            ),
            "utf-8",
        )


def list_events(prediction: Prediction) -> list[str]:
    """Return a file's rows of `events.tsv`; without events, one row with the name only."""
    return [
        f"{prediction.name}\t{event.onset:.3f}\t{event.offset:.3f}\t{event.label}"
        for event in prediction.events
    ] or [f"{prediction.name}\t\t\t"]


def read_events(folder: Path) -> dict[str, list[str]]:
    """Read the rows of `events.tsv` that earlier predictions have written.

    Returns:
        Name of a file to its rows; empty if there is no `events.tsv`.

    Raises:
        AvsedError: if the file has other columns, or cannot be read.
    """
    path = folder / "events.tsv"
    try:
        header, *lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, ValueError):
        header, lines = "", []
    if header != _EVENTS_HEADER:
        raise AvsedError(f"{path}: is no list of avsed, and would be lost; name another folder")
    rows: dict[str, list[str]] = {}
    for line in lines:
        rows.setdefault(line.partition("\t")[0], []).append(line)
    return rows


def write_events(rows: Mapping[str, Sequence[str]], folder: Path) -> None:
    """Write the events of all files to `events.tsv`, in the format of the pipeline's lists.

    Args:
        rows: name of a file to its rows.
        folder: gets `events.tsv`.
    """
    with atomic_write(folder / "events.tsv") as part:
        lines = [_EVENTS_HEADER, *(line for of_file in rows.values() for line in of_file)]
        part.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def require_own_results(path: Path, folder: Path) -> None:
    """Check that a folder holds no results of another file of the same name.

    Raises:
        AvsedError: if it does.
    """
    results = folder / f"{path.name}.json"
    try:
        predicted = json.loads(results.read_text("utf-8"))["path"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if predicted != str(path.resolve()):
        raise AvsedError(
            f"{path}: {folder} has the results of {predicted}, which would be lost; name another "
            "--out"
        )


def _as_json(prediction: Prediction) -> dict[str, object]:
    clip_scores = prediction.clip_scores.tolist()
    frame_scores = prediction.frame_scores.T.tolist()
    return {
        "filename": prediction.name,
        "path": str(prediction.path.resolve()),
        "duration": round(prediction.duration, 3),
        "warning": prediction.warning,
        "tags": list(prediction.tags),
        "events": [
            {
                "onset": round(event.onset, 3),
                "offset": round(event.offset, 3),
                "event_label": event.label,
            }
            for event in prediction.events
        ],
        "clip_scores": {
            label: round(score, SCORE_DIGITS)
            for label, score in zip(prediction.classes, clip_scores, strict=True)
        },
        "frame_hop": FRAME_HOP,  # seconds
        "frame_scores": {
            label: [round(score, SCORE_DIGITS) for score in scores]
            for label, scores in zip(prediction.classes, frame_scores, strict=True)
        },
    }
