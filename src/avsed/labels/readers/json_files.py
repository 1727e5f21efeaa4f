"""Read JSON: JAMS, also those of Scaper, and exports of Label Studio."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from avsed.dataset.names import has_media_extension
from avsed.errors import AvsedError
from avsed.labels.recordings import Label, ReadOptions, Recording, Remarks, base_name, name_beside

# Namespaces of JAMS whose values are labels of sounds.
_SOUND = re.compile(r"scaper|sound_event|segment_open|tag_.*")
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")  # Label Studio puts it before the name of an upload
Json = Any  # the content of a file, which can have any form


def read_json(path: Path) -> Json:
    """Read a JSON file.

    Raises:
        AvsedError: if it is missing, or not JSON.
    """
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise AvsedError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise AvsedError(f"{path}: is not JSON ({error}); export it again") from None


def read_jams(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    """Read the annotations of sounds of a JAMS file.

    Of Scaper's soundscapes, backgrounds are dropped, and times are those of the observation, which
    include time stretching, unlike those in its value. Annotations of tags are of the whole
    recording. The recording has the name of the file.

    Raises:
        AvsedError: if the file is not JAMS.
    """
    try:
        content = read_json(path)
        duration = _duration(content["file_metadata"].get("duration"))
        labels = [
            label
            for annotation in content["annotations"]
            for label in _jams_labels(annotation, remarks)
        ]
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise AvsedError(f"{path}: is not valid JAMS ({error!r}); export it again") from None
    return [Recording(name=name_beside(path), labels=tuple(labels), duration=duration)]


def _jams_labels(annotation: Json, remarks: Remarks) -> Iterator[Label]:
    namespace = annotation["namespace"]
    if not _SOUND.fullmatch(namespace):
        remarks.add("dropped annotations that are not of sounds, by namespace", namespace)
        return
    for observation in _observations(annotation["data"]):
        value = observation["value"]
        if isinstance(value, dict):
            if value.get("role") == "background":
                remarks.add("dropped backgrounds of Scaper", str(value["label"]))
                continue
            value = value["label"]
        if namespace.startswith("tag_"):
            yield Label(text=str(value))
            continue
        onset = float(observation["time"])
        offset = round(onset + float(observation["duration"]), 6)
        yield Label(text=str(value), onset=onset, offset=offset)


def _duration(value: Json) -> float | None:
    """Return a stated duration; None for 0, as programs write for an unknown one."""
    seconds = float(value or 0.0)
    return seconds if 0.0 < seconds < math.inf else None


def _observations(data: Json) -> Sequence[Mapping[str, Json]]:
    """Return observations one by one, also those of old versions, which store columns."""
    if isinstance(data, list):
        return data
    columns = ("time", "duration", "value")
    rows = zip(*(data[name] for name in columns), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def read_label_studio(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    """Read an export in the format JSON, not JSON-MIN, where choices look like any other text.

    Regions are events, and choices tags of the whole recording or, with times, of a region. Of
    several annotations of a task, the one marked as ground truth is read, else the first.

    Raises:
        AvsedError: if the file is not such an export.
    """
    try:
        return [_task(task, remarks) for task in read_json(path)]
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise AvsedError(
            f"{path}: is not an export of Label Studio ({error!r}); export the project as JSON, "
            "not as JSON-MIN"
        ) from None


def _task(task: Json, remarks: Remarks) -> Recording:
    name = _media_name(task["data"])
    results, is_annotated = _chosen_results(task, name, remarks)
    durations = (_duration(result.get("original_length")) for result in results)
    return Recording(
        name=name,
        labels=tuple(label for result in results for label in _labels_of(result, remarks)),
        is_annotated=is_annotated,
        duration=next(filter(None, durations), None),
    )


def _chosen_results(task: Json, name: str, remarks: Remarks) -> tuple[list[Json], bool]:
    """Return the results of a task's annotation, and whether it has one."""
    kept = []
    for annotation in task["annotations"]:
        if annotation.get("was_cancelled"):
            remarks.add("dropped skipped annotations", name)
        else:
            kept.append(annotation)
    kept.sort(key=lambda annotation: not annotation.get("ground_truth"))
    for _ in kept[1:]:
        remarks.add("dropped further annotations of a recording", name)
    return (kept[0]["result"], True) if kept else ([], False)


def _labels_of(result: Json, remarks: Remarks) -> Iterator[Label]:
    value = result.get("value", {})
    texts = value.get("labels") or value.get("choices") or value.get("timeserieslabels")
    if not texts and result["type"] not in ("labels", "audio", "timeserieslabels"):
        remarks.add("dropped results other than labels and choices, by type", result["type"])
    elif "start" in value:  # a region, perhaps without a label
        onset, offset = float(value["start"]), float(value["end"])
        yield from (Label(text=str(text), onset=onset, offset=offset) for text in texts or [""])
    else:
        yield from (Label(text=str(text)) for text in texts or [""])


def _media_name(data: Mapping[str, Json]) -> str:
    """Return the file name at the end of the task's URL, also of local files (`?d=a/b.wav`).

    Raises:
        ValueError: if the task has no media.
    """
    for url in data.values():
        if isinstance(url, str):
            parts = urlsplit(url)
            local = parse_qs(parts.query).get("d")
            name = base_name(local[0] if local else unquote(parts.path))
            if has_media_extension(name):
                return _UPLOADED.sub("", name)
    raise ValueError("a task names no media")
