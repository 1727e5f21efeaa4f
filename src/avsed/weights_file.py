"""Files of a trained seed: its weights, its learning curve, and a hash of both."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor


def save_weights(path: Path, weights: Mapping[str, Tensor], curve: str) -> None:
    """Write a seed's weights and curve in the format of safetensors, which has no checksum."""
    # One entry: safetensors writes several in another order each time.
    metadata = {"avsed": json.dumps({"curve": curve, "sha256": _hash(weights, curve)})}
    whole = {name: tensor.contiguous() for name, tensor in weights.items()}
    # In memory first: safetensors' own errors do not say that a disk is full.
    path.write_bytes(save(whole, metadata=metadata))


def load_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read what `save_weights` wrote.

    Raises:
        OSError: if it cannot be read, or is not as it was written.
    """
    try:
        with safe_open(path, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = json.loads((file.metadata() or {})["avsed"])
        curve: str = metadata["curve"]
        whole = metadata["sha256"] == _hash(weights, curve)
    except SafetensorError as error:
        raise OSError(str(error)) from None
    except (KeyError, ValueError, TypeError):
        whole = False
    if not whole:
        raise OSError("damaged, or not written by this avsed")
    return weights, curve


def _hash(weights: Mapping[str, Tensor], curve: str) -> str:
    digest = hashlib.sha256(curve.encode())
    for name in sorted(weights):
        tensor = weights[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
