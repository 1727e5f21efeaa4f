"""All kinds of features by name: the paper's three, and further ones."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from avsed.errors import AvsedError
from avsed.features.auditory import make_centered_extractor
from avsed.features.auditory import make_extractor as make_auditory
from avsed.features.efficientnet import make_extractor as make_efficientnet
from avsed.features.extractor import Extractor, Recipe
from avsed.features.spectral import make_extractor as make_spectral
from avsed.features.visual import make_extractor as make_visual
from avsed.params import Params

# Kind to the function that makes its extractor from its section of the parameters.
MAKERS: Mapping[str, Callable[[Any], Extractor]] = {
    "spectral": make_spectral,
    "auditory": make_auditory,
    "visual": make_visual,
    "auditory_centered": make_centered_extractor,
    "visual_efficientnet": make_efficientnet,
}


def make_recipes(variants: Iterable[str], params: Params) -> dict[str, Recipe]:
    """Return the recipes of all kinds of features that some variants use.

    Raises:
        AvsedError: if a variant names an unknown kind.
    """
    used = {kind for variant in variants for kind in variant.split("+")}
    unknown = used - MAKERS.keys()
    if unknown:
        raise AvsedError(
            f"variants.yaml: unknown kind of features {min(unknown)}; use one of "
            f"{', '.join(MAKERS)}, or add one as in docs/features.md"
        )
    return {
        kind: Recipe(make_extractor, params.section_of(kind))
        for kind, make_extractor in MAKERS.items()
        if kind in used
    }
