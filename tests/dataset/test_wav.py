"""WAV files whose samples have fewer valid bits than their container."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.dataset.wav import pcm_decoder
from tests.conftest import read_audio
from tests.helpers.extensible_wav import PCM, TONE, extensible


def is_tone(waveform: NDArray[np.float32], valid_bits: int) -> bool:
    return bool(np.allclose(waveform, TONE, rtol=0, atol=2.0**-valid_bits + 1e-7))


@pytest.mark.parametrize(
    ("n_bits", "valid_bits"),
    [(16, 8), (16, 12), (24, 16), (24, 20), (32, 12), (32, 16), (32, 20), (32, 24), (32, 32)],
)
def test_samples_with_fewer_valid_bits_keep_their_values(
    n_bits: int, valid_bits: int, tmp_path: Path
) -> None:
    path = tmp_path / "recorder.wav"
    path.write_bytes(extensible(n_bits, valid_bits))
    assert is_tone(read_audio(path, 16_000), valid_bits)


def test_the_layout_is_found_behind_a_chunk_of_odd_length(tmp_path: Path) -> None:
    path = tmp_path / "field.wav"
    path.write_bytes(extensible(32, 24, before=b"iXML" + struct.pack("<I", 3) + b"<a>\0"))
    assert is_tone(read_audio(path, 16_000), 24)


@pytest.mark.parametrize("form", [b"RF64", b"BW64"])
def test_files_for_more_than_four_gigabytes_are_read_likewise(form: bytes, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    sizes = b"ds64" + struct.pack("<IQQQI", 28, 64_104, 64_000, 16_000, 0)
    path.write_bytes(extensible(32, 24, form, sizes))
    assert is_tone(read_audio(path, 16_000), 24)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(extensible(24, 24), id="all bits are valid"),
        pytest.param(extensible(32, 24).replace(PCM, b"\3" + PCM[1:]), id="floating point"),
        pytest.param(extensible(32, 24)[:50], id="the header is cut"),
        pytest.param(b"RIFF\4\0\0\0WAVE", id="no chunks"),
        pytest.param(b"", id="empty"),
    ],
)
def test_ffmpeg_chooses_for_all_other_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.wav"
    path.write_bytes(content)
    assert pcm_decoder(path) == ""
