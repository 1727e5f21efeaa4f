"""What is needed to use a variant's weights, as `model.json` beside them."""

from pathlib import Path

from pydantic import Field, ValidationError

from avsed.config import Fusion, Section
from avsed.errors import AvsedError
from avsed.runtime.files import written_whole


class ModelCard(Section):
    """A trained variant, weights apart.

    Attributes:
        kinds: its features, in the order of their concatenation.
        feature_dims: dims of each.
        classes: the label vocabulary, in the order of the scores.
        fusion: embedding sizes.
        mask_padding: whether padded frames are left out of the clip scores.
        provenance: kind to what its features were made by.
    """

    kinds: tuple[str, ...] = Field(strict=False)
    feature_dims: tuple[int, ...] = Field(strict=False)
    classes: tuple[str, ...] = Field(strict=False)
    fusion: Fusion
    mask_padding: bool
    provenance: dict[str, dict[str, str | int | float]]


def write_model_card(card: ModelCard, model_dir: Path) -> None:
    """Write `model.json`."""
    with written_whole(model_dir / "model.json") as part:
        part.write_text(card.model_dump_json(indent=2) + "\n", "utf-8")


def read_model_card(model_dir: Path) -> ModelCard:
    """Read `model.json`.

    Raises:
        AvsedError: if it is missing or not as `write_model_card` writes it.
    """
    path = model_dir / "model.json"
    try:
        return ModelCard.model_validate_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise AvsedError(
            f"{path}: is no model card ({reason}); run `dvc repro train@{model_dir.name}`"
        ) from None
