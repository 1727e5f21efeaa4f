"""The device to compute on, the precision that it is fast in, and its memory."""

import ctypes
import platform
from typing import Literal

import torch

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def choose_device() -> torch.device:
    """Take the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_dtype(device: torch.device, precision: Literal["auto", "float32"]) -> torch.dtype:
    """Take bfloat16 where the hardware gains by it, unless float32 is asked for."""
    if device.type == "cuda":
        gains = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        gains = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return torch.bfloat16 if gains and precision == "auto" else torch.float32


def keep_freed_memory() -> None:
    """Have glibc keep what is freed for the next step, which needs the same again.

    It would give large blocks back to the system, which fills their pages with zeros each time
    anew: a fourth to a third of the time of a step with convolutions on a CPU.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for option, value in (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_ARENA_MAX, 1):
            libc.mallopt(option, value)
