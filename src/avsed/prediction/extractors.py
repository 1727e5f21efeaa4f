"""Make the extractors of the features that a model was trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from avsed.dataset.shards import Provenance
from avsed.errors import AvsedError
from avsed.features.extractor import Extractor
from avsed.features.kinds import KINDS, make_recipe
from avsed.model.card import ModelCard
from avsed.params import Auditory, ExtraNetworks, Section, Spectral, Visual

# Kind to its parameters; other kinds use the section extra_networks.
_SECTIONS: Mapping[str, type[Section]] = {
    "spectral": Spectral,
    "auditory": Auditory,
    "visual": Visual,
    "auditory_centered": Auditory,
}


def make_extractors(
    card: ModelCard, model_dir: Path, weights: Mapping[str, Path]
) -> dict[str, Extractor]:
    """Return the extractors of a model's kinds of features, with the parameters in its card.

    Features that were computed in bfloat16 for training are computed in float32 on a machine that
    bfloat16 does not speed up.

    Args:
        card: the model's card.
        model_dir: the model's folder, for messages.
        weights: kind to a file of weights, for those that are neither random nor published.

    Raises:
        AvsedError: if a kind is unknown, or weights are not found or differ from those used in
            training.
    """
    for kind in weights:
        if kind not in card.kinds or kind == "spectral":
            raise AvsedError(
                f"--weights {kind}=...: {model_dir} uses no such network; its features are "
                f"{', '.join(card.kinds)}"
            )
    return {kind: _make_extractor(kind, card, model_dir, weights.get(kind)) for kind in card.kinds}


def _make_extractor(kind: str, card: ModelCard, model_dir: Path, weights: Path | None) -> Extractor:
    if kind not in KINDS:
        raise AvsedError(
            f"{model_dir / 'model.json'}: names {kind} features, which this avsed does not have; "
            f"it has {', '.join(KINDS)}"
        )
    params_of_kind = _SECTIONS.get(kind, ExtraNetworks)
    made_by = card.provenance.get(kind, {})
    # The provenance contains the parameters by name, except for the network and the precision.
    # Parameters of other networks are missing; any value will do.
    named: dict[str, Any] = {"activation": "relu", "layer": "fc7", **made_by}
    named["network"] = made_by.get("extractor")
    named = {name: value for name, value in named.items() if name in params_of_kind.model_fields}
    if "precision" in params_of_kind.model_fields:
        named["precision"] = "float32" if made_by.get("dtype") == "torch.float32" else "auto"
    if weights:
        named["weights"] = str(weights)
    elif named.get("weights") == "other":
        raise AvsedError(
            f"{model_dir}: its {kind} features were made with weights that are not the published "
            f"ones (SHA-256 {made_by.get('weights_sha256')}); give their file by "
            f"--weights {kind}=PATH"
        )
    try:
        params = params_of_kind.model_validate(named)
    except ValidationError as error:
        reason = error.errors()[0]
        raise AvsedError(
            f"{model_dir / 'model.json'}: lacks the parameters of its {kind} features "
            f"({'.'.join(map(str, reason['loc']))}: {reason['msg']}); train the model again"
        ) from None
    extractor = make_recipe(kind, params).build()
    _require_same(kind, extractor.spec.provenance, made_by, model_dir)
    return extractor


def _require_same(kind: str, here: Provenance, made_by: Provenance, model_dir: Path) -> None:
    """Reject features that differ from those that the model was trained on."""
    if here.get("weights_sha256") != made_by.get("weights_sha256"):
        raise AvsedError(
            f"{model_dir}: its {kind} features were made with {made_by.get('weights')} weights of "
            f"SHA-256 {str(made_by.get('weights_sha256'))[:16]}..., but the given file has "
            f"{str(here.get('weights_sha256'))[:16]}...; give the right file by "
            f"--weights {kind}=PATH"
        )
    for name in sorted(set(here) | set(made_by)):
        # Float32 in place of bfloat16 is more exact, otherwise the same.
        if name != "dtype" and here.get(name) != made_by.get(name):
            raise AvsedError(
                f"{model_dir}: its {kind} features were made with {name} {made_by.get(name)}, "
                f"here it is {here.get(name)}; use the version of avsed that trained the model"
            )
