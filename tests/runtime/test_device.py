"""The precision that `auto` stands for on CPUs."""

import pytest
import torch

from avsed.runtime.device import choose_dtype

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "capabilities", "expected"),
    [
        ("AMD EPYC 9R14", ["avx512_bf16"], torch.bfloat16),
        ("Intel Xeon", ["avx512_bf16", "amx_bf16"], torch.bfloat16),
        ("Intel Xeon", ["avx512_bf16"], torch.float32),  # slower than float32
        ("AMD EPYC 7R13", [], torch.float32),
    ],
)
def test_auto_is_bfloat16_where_the_cpu_gains_from_it(
    name: str, capabilities: list[str], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    has = {"cpu_name": name, **dict.fromkeys(capabilities, True)}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert choose_dtype(CPU, "auto") == expected
    assert choose_dtype(CPU, "float32") == torch.float32
