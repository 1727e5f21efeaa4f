"""The device to compute on, and the precision that it is fast in."""

from typing import Literal

import torch


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
