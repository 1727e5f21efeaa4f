"""Damaged files of labels: an error of one line, or labels; never another exception."""

import random
from pathlib import Path

import pytest

from avsed.errors import AvsedError
from avsed.labels.cleaning import to_clip
from avsed.labels.formats import read_labels
from avsed.labels.lists import LISTS
from avsed.labels.recordings import ReadOptions, Remarks
from tests.labels import files

CONTENTS = {
    "textgrid": files.TEXTGRID,
    "eaf": files.EAF,
    "jams": files.JAMS,
    "label-studio": files.LABEL_STUDIO,
    "audioset": files.AUDIOSET,
    "audioset-strong": files.AUDIOSET_FRAMED,
    "fsd50k": files.FSD50K_DEV,
    "urbansound8k": files.URBANSOUND8K,
    "esc50": files.ESC50,
    "raven": files.RAVEN_SEQUENCE,
    "dcase": files.DESED_STRONG,
    "vggsound": files.VGGSOUND,
    "audacity": files.AUDACITY,
}


def damage(content: bytes, chance: random.Random) -> bytes:
    """Change, remove or repeat some parts of a file."""
    parts = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(parts) or 1)
        end = start + chance.choice((1, 2, 8, 40))
        new = chance.choice(
            (b"", b'"', b"\0", b"\n", b"\t", b",", b"nan", b"1e999", b"null", b"[]", b"{}", b"\xff")
        )
        parts[start:end] = chance.choice((new, bytes(parts[start:end]) * 2))
    return bytes(parts)


@pytest.mark.parametrize("name", CONTENTS)
def test_a_damaged_file_is_an_error_or_has_labels_for_a_list(tmp_path: Path, name: str) -> None:
    chance = random.Random(name)  # noqa: S311
    path = tmp_path / "labels.txt"
    options = ReadOptions(name_of_mid={"/m/09x0r": "Speech"}.get)  # type: ignore[arg-type]
    for _ in range(150):
        path.write_bytes(damage(CONTENTS[name].encode(), chance))
        remarks = Remarks()
        try:
            recordings = read_labels(path, name, options, remarks)
        except AvsedError as error:
            assert "\n" not in str(error)
            continue
        for list_name in LISTS:
            for recording in recordings:
                clip = to_clip(recording, list_name, remarks)
                for event in clip.events or () if clip else ():
                    assert 0 <= event.onset < event.offset < float("inf")
        assert not any("\n" in line for line in remarks.lines())
