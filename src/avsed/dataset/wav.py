"""Choose the decoder of WAV files whose samples have fewer valid bits than their container."""

import struct
from pathlib import Path
from typing import IO

_FORMS = (b"RIFF", b"RF64", b"BW64")
_EXTENSIBLE = 0xFFFE  # WAVE_FORMAT_EXTENSIBLE
_PCM = bytes.fromhex("0100000000001000800000aa00389b71")  # KSDATAFORMAT_SUBTYPE_PCM
_DECODERS = {16: "pcm_s16le", 24: "pcm_s24le", 32: "pcm_s32le"}


def pcm_decoder(path: Path) -> str:
    """Return the decoder to impose on ffmpeg for a file; empty for ffmpeg's own choice.

    ffmpeg chooses by the number of valid bits. It takes 24 of 32 bits for floating-point numbers,
    and 20 of 32 for samples of 24 bits (libavformat/riffdec.c and wavdec.c, ffmpeg 9.0). The valid
    bits are the highest of the container, so its decoder is right.

    Args:
        path: any file; one that cannot be read has no decoder.
    """
    try:
        with path.open("rb") as file:
            layout = _format_chunk(file)
    except OSError:
        return ""
    if len(layout) < 40:
        return ""
    tag, container_bits, valid_bits = struct.unpack_from("<H12xH2xH", layout)
    if tag != _EXTENSIBLE or layout[24:40] != _PCM or not valid_bits:
        return ""
    is_mistaken = -(-valid_bits // 8) != container_bits // 8
    return _DECODERS.get(container_bits, "") if is_mistaken else ""


def _format_chunk(file: IO[bytes]) -> bytes:
    """Read the content of the `fmt ` chunk; empty if there is none before the samples."""
    header = file.read(12)
    if header[:4] not in _FORMS or header[8:] != b"WAVE":
        return b""
    while len(header := file.read(8)) == 8 and header[:4] != b"data":
        size = int.from_bytes(header[4:], "little")
        if header[:4] == b"fmt ":
            return file.read(size) if size == 40 else b""
        file.seek(size + size % 2, 1)
    return b""
