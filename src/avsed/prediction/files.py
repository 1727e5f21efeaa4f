"""Write predictions as console text, DCASE's TSV, JSON and Audacity's labels."""

import json
from collections.abc import Sequence
from pathlib import Path

from avsed.framing import FRAME_HOP
from avsed.prediction.predict import Prediction
from avsed.runtime.files import atomic_write

SCORE_DIGITS = 4


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


def write_events(rows: Sequence[str], folder: Path) -> None:
    """Write the events of all files to `events.tsv`, in the format of the pipeline's lists."""
    with atomic_write(folder / "events.tsv") as part:
        lines = ["filename\tonset\toffset\tevent_label", *rows]
        part.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _as_json(prediction: Prediction) -> dict[str, object]:
    clip_scores = prediction.clip_scores.tolist()
    frame_scores = prediction.frame_scores.T.tolist()
    return {
        "filename": prediction.name,
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
