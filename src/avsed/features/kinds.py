"""All kinds of features by name: the paper's three, and further ones."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from avsed.errors import AvsedError
from avsed.features import spectral
from avsed.features.extractor import Extractor, Recipe
from avsed.features.networks import efficientnet_b0, efficientnet_lite0, vgg16, vggish, yamnet
from avsed.features.weights.load import Published, find_weights
from avsed.params import Auditory, ExtraNetworks, Params, Section, Visual


@dataclass(frozen=True)
class FeatureNetwork:
    """A network that features come from.

    Attributes:
        make_extractor: from the kind's section of the parameters.
        published: its pretrained weights; None if it has no weights.
    """

    make_extractor: Callable[[Any], Extractor]
    published: Published | None


_AUDITORY = {
    "vggish": FeatureNetwork(vggish.make_extractor, vggish.PUBLISHED),
    "yamnet": FeatureNetwork(yamnet.make_extractor, yamnet.PUBLISHED),
}
_VISUAL = {
    "vgg16": FeatureNetwork(vgg16.make_extractor, vgg16.PUBLISHED),
    "efficientnet_lite0": FeatureNetwork(
        efficientnet_lite0.make_extractor, efficientnet_lite0.PUBLISHED
    ),
}
# Kind to its network, or to its networks by the `network` of its section.
KINDS: Mapping[str, FeatureNetwork | Mapping[str, FeatureNetwork]] = {
    "spectral": FeatureNetwork(spectral.make_extractor, None),
    "auditory": _AUDITORY,
    "visual": _VISUAL,
    # Beside `auditory` in one table, it shows the effect of the paper's alignment.
    "auditory_centered": _AUDITORY,
    "visual_efficientnet": FeatureNetwork(
        efficientnet_b0.make_extractor, efficientnet_b0.PUBLISHED
    ),
}


def network_of(kind: str, params: Section) -> FeatureNetwork:
    """Return the network of a kind of `KINDS` with these parameters."""
    networks = KINDS[kind]
    if isinstance(networks, FeatureNetwork):
        return networks
    return networks[cast(Auditory | Visual, params).network]


def make_recipe(kind: str, params: Section) -> Recipe:
    """Return the recipe of a kind of `KINDS`."""
    return Recipe(kind, network_of(kind, params).make_extractor, params)


def make_recipes(variants: Iterable[str], params: Params) -> dict[str, Recipe]:
    """Return the recipes of all kinds of features that some variants use.

    Raises:
        AvsedError: if a variant names an unknown kind.
    """
    return {kind: make_recipe(kind, params.section_of(kind)) for kind in _used_kinds(variants)}


def require_weights(variants: Iterable[str], params: Params) -> None:
    """Find, or download, the pretrained weights of all kinds that some variants use.

    Raises:
        AvsedError: if a variant names an unknown kind, or weights are not found.
    """
    for kind in _used_kinds(variants):
        section = params.section_of(kind)
        published = network_of(kind, section).published
        if published and isinstance(section, Auditory | Visual | ExtraNetworks):
            find_weights(section.weights, published)


def _used_kinds(variants: Iterable[str]) -> list[str]:
    used = {kind for variant in variants for kind in variant.split("+")}
    unknown = used - KINDS.keys()
    if unknown:
        raise AvsedError(
            f"variants.yaml: unknown kind of features {min(unknown)}; use one of "
            f"{', '.join(KINDS)}, or add one as in docs/features.md"
        )
    return [kind for kind in KINDS if kind in used]
