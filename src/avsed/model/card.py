"""Read and write model.json, which describes a trained model."""

from pathlib import Path

from pydantic import Field, ValidationError

from avsed.errors import AvsedError
from avsed.params import Section
from avsed.runtime.files import atomic_write


class ModelCard(Section):
    """The contents of model.json: everything that is needed to use a student's weights.

    Attributes:
        kinds: features, in the order of concatenation.
        feature_dims: dims of each kind.
        classes: class names, in the order of the scores.
        embedding_dims: pretrained kind to its embedding size.
        mask_padding: whether padded frames are excluded from the clip scores.
        provenance: kind to the extractor and parameters of its features.
        n_strong_clips: strongly labeled clips that it was trained on; not written if 0.
    """

    kinds: tuple[str, ...] = Field(strict=False)
    feature_dims: tuple[int, ...] = Field(strict=False)
    classes: tuple[str, ...] = Field(strict=False)
    embedding_dims: dict[str, int]
    mask_padding: bool
    provenance: dict[str, dict[str, str | int | float]]
    n_strong_clips: int = 0


def write_model_card(card: ModelCard, model_dir: Path) -> None:
    """Write `model.json`."""
    with atomic_write(model_dir / "model.json") as part:
        part.write_text(card.model_dump_json(indent=2, exclude_defaults=True) + "\n", "utf-8")


def read_model_card(model_dir: Path) -> ModelCard:
    """Read `model.json`.

    Raises:
        AvsedError: if it is missing or invalid.
    """
    path = model_dir / "model.json"
    try:
        return ModelCard.model_validate_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise AvsedError(
            f"{path}: missing or invalid ({reason}); run `dvc repro train@{model_dir.name}`"
        ) from None
