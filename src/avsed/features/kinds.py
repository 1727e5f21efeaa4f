"""All kinds of features by name: the paper's three, and further ones."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import cast

from avsed.errors import AvsedError
from avsed.features.extractor import Recipe
from avsed.params import Auditory, Params, Section, Visual
from avsed.variants import kinds_of_variant

_AUDITORY = {
    "vggish": "avsed.features.networks.vggish",
    "yamnet": "avsed.features.networks.yamnet",
}
_VISUAL = {
    "vgg16": "avsed.features.networks.vgg16",
    "efficientnet_lite0": "avsed.features.networks.efficientnet_lite0",
}
# Kind to the module whose function `make_extractor` takes the kind's section of the parameters: one
# module, or one for each `network` of the section. Modules are imported when they are used, because
# torchvision takes as long to import as torch.
KINDS: Mapping[str, str | Mapping[str, str]] = {
    "spectral": "avsed.features.spectral",
    "auditory": _AUDITORY,
    "visual": _VISUAL,
    # Beside `auditory` in one table, it shows the effect of the paper's alignment.
    "auditory_centered": _AUDITORY,
    "visual_efficientnet": "avsed.features.networks.efficientnet_b0",
}


def make_recipe(kind: str, params: Section) -> Recipe:
    """Return the recipe of a kind of `KINDS`."""
    module = KINDS[kind]
    if not isinstance(module, str):
        module = module[cast(Auditory | Visual, params).network]
    return Recipe(kind, import_module(module).make_extractor, params)


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
    used = {kind for variant in variants for kind in kinds_of_variant(variant)}
    unknown = used - KINDS.keys()
    if unknown:
        raise AvsedError(
            f"variants.yaml: unknown kind of features {min(unknown)}; use one of "
            f"{', '.join(KINDS)}, or add one as in docs/features.md"
        )
    return [kind for kind in KINDS if kind in used]
