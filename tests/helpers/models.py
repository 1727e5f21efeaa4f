"""Models of any variant with random students and a valid card."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch

from avsed.features.extractor import FeatureSpec
from avsed.features.kinds import make_recipe
from avsed.model.card import ModelCard, write_model_card
from avsed.model.crnn import Crnn, embedding_dims
from avsed.model.dropout import DropoutGenerator
from avsed.model.files import save_weights
from avsed.params import Auditory, ExtraNetworks, Fusion, Section, Spectral, Visual

CLASSES = ("Cat", "Dog", "Speech")
FUSION = Fusion(auditory_dim=4, visual_dim=4, standalone_auditory_dim=8, standalone_visual_dim=8)
PARAMS: Mapping[str, Section] = {
    "spectral": Spectral(window_length=2048, log_floor=1e-5),
    "auditory": Auditory(
        network="vggish", alignment="paper", activation="relu", precision="auto", weights="random"
    ),
    "visual": Visual(
        network="vgg16",
        layer="fc7",
        precision="auto",
        resize_size=32,
        crop_size=32,
        weights="random",
    ),
    "visual_efficientnet": ExtraNetworks(precision="auto", weights="random"),
}
RECIPES = {kind: make_recipe(kind, params) for kind, params in PARAMS.items()}


@cache
def spec_of(kind: str) -> FeatureSpec:
    """Return the spec of a kind; building its network takes seconds."""
    return RECIPES[kind].build().spec


def write_model(model_dir: Path, *kinds: str, n_seeds: int = 1, mask_padding: bool = True) -> Path:
    """Write a model whose meaningless scores vary over the clip."""
    card = ModelCard(
        kinds=kinds,
        feature_dims=tuple(spec_of(kind).dims for kind in kinds),
        classes=CLASSES,
        embedding_dims=embedding_dims(kinds, FUSION),
        mask_padding=mask_padding,
        provenance={kind: dict(spec_of(kind).provenance) for kind in kinds},
    )
    write_model_card(card, model_dir)
    (model_dir / "seeds").mkdir(exist_ok=True)
    for seed in range(n_seeds):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            student = Crnn(
                dict(zip(kinds, card.feature_dims, strict=True)),
                embedding_dims=card.embedding_dims,
                n_classes=len(CLASSES),
                dropout=0.0,
                generator=DropoutGenerator(0, torch.device("cpu")),
                cnn_dtype=torch.float32,
            )
        weights = student.state_dict()
        weights["classifier.weight"] *= 30.0
        save_weights(model_dir / "seeds" / f"seed-{seed:02d}.safetensors", weights, curve="[]")
    return model_dir
