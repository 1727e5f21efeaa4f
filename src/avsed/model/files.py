"""Read and write a trained model: model.json and the weights of each student."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from avsed.errors import AvsedError
from avsed.model.crnn import Crnn
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
    """

    kinds: tuple[str, ...] = Field(strict=False)
    feature_dims: tuple[int, ...] = Field(strict=False)
    classes: tuple[str, ...] = Field(strict=False)
    embedding_dims: dict[str, int]
    mask_padding: bool
    provenance: dict[str, dict[str, str | int | float]]


def write_model_card(card: ModelCard, model_dir: Path) -> None:
    """Write `model.json`."""
    with atomic_write(model_dir / "model.json") as part:
        part.write_text(card.model_dump_json(indent=2) + "\n", "utf-8")


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


def seed_paths(model_dir: Path) -> dict[int, Path]:
    """Find the weights of all seeds of a model.

    Returns:
        Seed to its file, in ascending order.
    """
    return {
        int(path.stem.removeprefix("seed-")): path
        for path in sorted((model_dir / "seeds").glob("seed-*.safetensors"))
    }


def save_weights(path: Path, weights: Mapping[str, Tensor], curve: str) -> None:
    """Write a seed's weights and learning curve, with a checksum, as a safetensors file."""
    # One entry, because safetensors writes several in a random order.
    metadata = {"avsed": json.dumps({"curve": curve, "sha256": _hash(weights, curve)})}
    tensors = {name: tensor.contiguous() for name, tensor in weights.items()}
    # In memory first: errors of safetensors do not say that a disk is full.
    path.write_bytes(save(tensors, metadata=metadata))


def read_student_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read a student's weights and learning curve, and verify the checksum.

    Raises:
        OSError: if the file cannot be read, or was changed.
    """
    try:
        with safe_open(path, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = json.loads((file.metadata() or {})["avsed"])
        curve: str = metadata["curve"]
        valid = metadata["sha256"] == _hash(weights, curve)
    except SafetensorError as error:
        raise OSError(str(error)) from None
    except (KeyError, ValueError, TypeError):
        valid = False
    if not valid:
        raise OSError("corrupted, or written by another version of avsed")
    return weights, curve


def _hash(weights: Mapping[str, Tensor], curve: str) -> str:
    digest = hashlib.sha256(curve.encode())
    for name in sorted(weights):
        tensor = weights[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_student(card: ModelCard, weights_path: Path, device: torch.device) -> Crnn:
    """Build a trained student in evaluation mode.

    Raises:
        AvsedError: if the weights cannot be read, or do not fit the card.
    """
    student = Crnn(
        dict(zip(card.kinds, card.feature_dims, strict=True)),
        embedding_dims=card.embedding_dims,
        n_classes=len(card.classes),
        dropout=0.0,
        generator=torch.Generator(),
        cnn_dtype=torch.float32,
    )
    try:
        student.load_state_dict(read_student_weights(weights_path)[0])
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise AvsedError(
            f"{weights_path}: not the weights of this model ({reason}); "
            f"run `dvc repro train@{weights_path.parent.parent.name}`"
        ) from None
    return student.to(device).eval()
