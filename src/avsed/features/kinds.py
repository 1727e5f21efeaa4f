"""All kinds of features by name: the paper's three, and further ones."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from avsed.errors import AvsedError
from avsed.features import spectral
from avsed.features.extractor import Extractor, Recipe
from avsed.features.networks import efficientnet_b0, efficientnet_lite0, vgg16, vggish, yamnet
from avsed.params import Auditory, Params, Section, Visual

Maker = Callable[[Any], Extractor]  # from the kind's section of the parameters

_AUDITORY: Mapping[str, Maker] = {
    "vggish": vggish.make_extractor,
    "yamnet": yamnet.make_extractor,
}
_VISUAL: Mapping[str, Maker] = {
    "vgg16": vgg16.make_extractor,
    "efficientnet_lite0": efficientnet_lite0.make_extractor,
}
# Kind to what makes its extractor: one function, or one for each `network` of its section.
KINDS: Mapping[str, Maker | Mapping[str, Maker]] = {
    "spectral": spectral.make_extractor,
    "auditory": _AUDITORY,
    "visual": _VISUAL,
    # Beside `auditory` in one table, it shows the effect of the paper's alignment.
    "auditory_centered": _AUDITORY,
    "visual_efficientnet": efficientnet_b0.make_extractor,
}


def make_recipe(kind: str, params: Section) -> Recipe:
    """Return the recipe of a kind of `KINDS`."""
    makers = KINDS[kind]
    maker = makers if callable(makers) else makers[cast(Auditory | Visual, params).network]
    return Recipe(kind, maker, params)


def make_recipes(variants: Iterable[str], params: Params) -> dict[str, Recipe]:
    """Return the recipes of all kinds of features that some variants use.

    Raises:
        AvsedError: if a variant names an unknown kind.
    """
    return {kind: make_recipe(kind, params.section_of(kind)) for kind in _used_kinds(variants)}


def require_weights(variants: Iterable[str], params: Params) -> None:
    """Find, or download, the weights of all kinds that some variants use, and load them.

    Raises:
        AvsedError: if a variant names an unknown kind, or weights are not found or do not fit.
    """
    for recipe in make_recipes(variants, params).values():
        # Random weights fit, and take seconds to draw.
        if getattr(recipe.params, "weights", "random") != "random":
            recipe.build()


def _used_kinds(variants: Iterable[str]) -> list[str]:
    used = {kind for variant in variants for kind in variant.split("+")}
    unknown = used - KINDS.keys()
    if unknown:
        raise AvsedError(
            f"variants.yaml: unknown kind of features {min(unknown)}; use one of "
            f"{', '.join(KINDS)}, or add one as in docs/features.md"
        )
    return [kind for kind in KINDS if kind in used]
