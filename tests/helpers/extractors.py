"""Extractors with random weights, each set up once: random networks take seconds to draw."""

from functools import cache
from typing import Literal

import torch

from avsed.config import load_params
from avsed.features.extractor import Extractor
from avsed.features.kinds import make_recipe
from avsed.params import Params
from avsed.runtime.device import choose_device, choose_dtype
from tests.conftest import ROOT


def paper_networks() -> Params:
    """Return the demo's parameters with the paper's networks, random weights and small images."""
    params = load_params(ROOT / "params.yaml")
    random = {"weights": "random"}
    small = {"network": "vgg16", "resize_size": 64, "crop_size": 64}
    return params.model_copy(
        update={
            "auditory": params.auditory.model_copy(update=random | {"network": "vggish"}),
            "visual": params.visual.model_copy(update=random | small),
            "extra_networks": params.extra_networks.model_copy(update=random),
        }
    )


def extractor(kind: str, *, precision: Literal["auto", "float32"] = "auto") -> Extractor:
    """Set up the extractor of a kind with the paper's network, if it is one of the paper's."""
    fast = choose_dtype(choose_device(), precision) != torch.float32
    return _set_up(kind, "auto" if fast else "float32")


@cache
def _set_up(kind: str, precision: str) -> Extractor:
    params = paper_networks().section_of(kind)
    if hasattr(params, "precision"):
        params = params.model_copy(update={"precision": precision})
    return make_recipe(kind, params).build()
