"""WAV files whose samples have fewer valid bits than their container."""

import struct

import numpy as np

PCM = bytes.fromhex("0100000000001000800000aa00389b71")
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)


def extensible(n_bits: int, valid_bits: int, form: bytes = b"RIFF", before: bytes = b"") -> bytes:
    """Return a WAV file with one second of `TONE` in the valid bits, the highest ones."""
    samples = np.round(TONE * 2 ** (valid_bits - 1)).astype("<i8") << (n_bits - valid_bits)
    width = n_bits // 8
    content = bytes(samples.view(np.uint8).reshape(-1, 8)[:, :width])
    rate = (16_000, 16_000 * width, width, n_bits)
    layout = struct.pack("<HHIIHHHHI", 0xFFFE, 1, *rate, 22, valid_bits, 4) + PCM
    chunks = before + b"fmt " + struct.pack("<I", 40) + layout
    chunks += b"data" + struct.pack("<I", len(content)) + content
    return form + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
