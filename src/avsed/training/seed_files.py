"""The files of a variant's seeds in the store: weights, learning curves, checkpoints."""

import hashlib
import io
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from avsed.errors import AvsedError
from avsed.model.card import ModelCard
from avsed.model.crnn import embedding_dims
from avsed.model.files import read_student_weights, save_weights
from avsed.params import Fusion, Train
from avsed.runtime.device import choose_device, choose_dtype
from avsed.runtime.files import append_checksum, atomic_write, verify_checksum
from avsed.runtime.store import KEY_LENGTH, work_key
from avsed.training.batches import TrainingData
from avsed.training.curves import curve_to_json
from avsed.training.seed_group import SeedGroup
from avsed.variants import name_variant

# The code that decides a seed's weights. An edit of anything else must not train seeds again.
SEED_CODE = ("avsed.training.mean_teacher", "avsed.training.seed_group")

# Suffix of a file named like a variant: the name of the folder of its seeds that trained last.
_LAST = ".last"


@dataclass(frozen=True)
class SeedFiles:
    """The files of a variant's seeds.

    Attributes:
        folder: contains for each finished seed its weights, or a message why it has none.
        card: describes the variant's network.
    """

    folder: Path
    card: ModelCard

    @property
    def variant(self) -> str:
        """The variant's name, of what it trains on."""
        return name_variant(self.card.kinds, strong=self.card.n_strong_clips > 0)

    def weights_path(self, seed: int) -> Path:
        """Return the path of a seed's final student and learning curve."""
        return self.folder / f"seed-{seed:02d}.safetensors"

    def diverged_path(self, seed: int) -> Path:
        """Return the path of the message which explains why a seed has no weights."""
        return self.folder / f"seed-{seed:02d}.diverged"

    def checkpoint_path(self, seeds: Sequence[int]) -> Path:
        """Return the path of the checkpoint of seeds that train together."""
        return self.folder / f"seeds-{'-'.join(f'{seed:02d}' for seed in seeds)}.checkpoint"

    def save_as_last(self) -> None:
        """Record the folder as the last of its variant, so that `avsed store clean` keeps it."""
        with atomic_write(self.folder.parent / f"{self.variant}{_LAST}") as part:
            part.write_text(self.folder.name, "utf-8")

    def unfinished(self, seeds: Sequence[int]) -> list[int]:
        """List which of the seeds that train together have to be trained."""
        # A process may have been killed after it saved some of the seeds. The checkpoint contains
        # all of them, and they continue together.
        if self.checkpoint_path(seeds).exists():
            return list(seeds)
        return [seed for seed in seeds if not self._is_finished(seed)]

    def _is_finished(self, seed: int) -> bool:
        if self.diverged_path(seed).exists():
            return True
        path = self.weights_path(seed)
        if not path.exists():
            return False
        try:
            read_student_weights(path)
        except OSError as error:
            print(f"{path}: {error}; the seed is trained again", flush=True)
            return False
        return True

    def save_checkpoint(self, group: SeedGroup) -> None:
        """Write the state of seeds that train together."""
        # In memory first: PyTorch's errors do not say that a disk is full.
        state = io.BytesIO()
        torch.save(group.state_dict(), state)
        with atomic_write(self.checkpoint_path(group.seeds)) as part:
            part.write_bytes(state.getbuffer())
            append_checksum(part)

    def load_checkpoint(self, seeds: Sequence[int]) -> Mapping[str, Any] | None:
        """Read the state of seeds that train together; return None if there is no valid one."""
        path = self.checkpoint_path(seeds)
        if not path.exists():
            return None
        try:
            verify_checksum(path)
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, pickle.UnpicklingError) as error:
            reason = str(error).splitlines()[0]
            print(f"{path}: {reason}; its seeds start again from step 0", flush=True)
            return None
        return state

    def save_results(self, group: SeedGroup) -> None:
        """Write each final student, or why its seed diverged, and delete the checkpoint."""
        for seed in group.seeds:
            if seed in group.diverged:
                with atomic_write(self.diverged_path(seed)) as part:
                    part.write_text(self.explain_divergence(group, seed), "utf-8")
            else:
                with atomic_write(self.weights_path(seed)) as part:
                    save_weights(part, group.weights(seed), curve_to_json(group.curves[seed]))
        self.checkpoint_path(group.seeds).unlink(missing_ok=True)

    def explain_divergence(self, group: SeedGroup, seed: int) -> str:
        """Return the message for a seed that diverged."""
        return (
            f"{self.variant}, seed {seed}: excluded: costs became NaN or infinite by "
            f"step {group.diverged[seed]:,}"
        )


def last_folders(models: Path) -> set[str]:
    """Return the names of the folders of all variants' seeds that trained last.

    Args:
        models: the folder of all seeds in the store.

    Raises:
        AvsedError: if they cannot be read.
    """
    folders = set()
    for path in models.glob(f"*{_LAST}"):
        name = path.read_text("utf-8", errors="replace")
        if len(name) != KEY_LENGTH:
            raise AvsedError(
                f"{path}: is damaged; `dvc repro -f train@{path.stem}` writes it again"
            )
        folders.add(name)
    return folders


def seed_files(data: TrainingData, fusion: Fusion, params: Train, store: Path) -> SeedFiles:
    """Find the folder of a variant's seeds: its name is a hash of all that their weights depend on.

    The number of seeds and how many train together are not part of the hash. Strong labels are, if
    the variant trains on them.
    """
    device = choose_device()
    sizes = embedding_dims(data.kinds, fusion)
    made_of = [
        data.features_key,
        data.classes,
        data.kinds,
        data.weak.clip_ids,
        data.unlabeled.clip_ids,
        data.targets.tolist(),
        sizes,
        params.model_dump(exclude={"n_seeds", "seeds_per_run"}),
        device.type,
        str(choose_dtype(device, params.precision)),
    ]
    if data.strong:
        targets = data.strong.targets.numpy()
        made_of += [
            data.strong.clips.clip_ids,
            hashlib.sha256(targets.tobytes()).hexdigest(),
            data.strong.params.model_dump(),
        ]
    card = ModelCard(
        kinds=data.kinds,
        feature_dims=tuple(data.weak.features[kind].shape[2] for kind in data.kinds),
        classes=data.classes,
        embedding_dims=sizes,
        mask_padding=params.mask_padding,
        provenance={kind: dict(data.provenance[kind]) for kind in data.kinds},
        n_strong_clips=len(data.strong.clips.clip_ids) if data.strong else 0,
    )
    return SeedFiles(store / "models" / work_key(made_of, modules=SEED_CODE), card)
