"""Extractors of the demo's parameters, each set up once: random networks take seconds to draw."""

from functools import cache
from typing import Literal

import torch

from avsed.config import load_params
from avsed.features.extractor import Extractor
from avsed.features.kinds import MAKERS
from avsed.runtime.device import choose_device, choose_dtype
from tests.conftest import ROOT


def extractor(kind: str, *, precision: Literal["auto", "float32"] = "auto") -> Extractor:
    """Set up the demo's extractor of a kind."""
    fast = choose_dtype(choose_device(), precision) != torch.float32
    return _set_up(kind, "auto" if fast else "float32")


@cache
def _set_up(kind: str, precision: str) -> Extractor:
    params = load_params(ROOT / "params.yaml").section_of(kind)
    if hasattr(params, "precision"):
        params = params.model_copy(update={"precision": precision})
    return MAKERS[kind](params)
