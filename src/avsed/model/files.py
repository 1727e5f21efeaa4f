"""Read and write the weights of a trained model, one file for each student."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from avsed.errors import AvsedError
from avsed.model.card import ModelCard
from avsed.model.crnn import Crnn
from avsed.model.dropout import DropoutGenerator


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
        generator=DropoutGenerator(0, torch.device("cpu")),
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
