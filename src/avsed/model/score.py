"""Score the validation and test clips with all students of one variant."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from avsed.dataset.annotations import EVALUATION_SPLITS
from avsed.dataset.loading import ClipFeatures, load_split
from avsed.dataset.shards import describe_shards
from avsed.errors import AvsedError
from avsed.model.card import read_model_card
from avsed.model.crnn import Crnn
from avsed.model.files import load_student, seed_paths
from avsed.model.scores import ScoredSplit, Scores, write_scores
from avsed.runtime.device import choose_device, keep_freed_memory

BATCH_SIZE = 16  # clips; more does not speed up a CPU


def score_variant(
    model_dir: Path, *, features_dir: Path, metadata_dir: Path, out_path: Path
) -> None:
    """Score validation and test clips with all students of a variant.

    Args:
        model_dir: folder written by `train_variant`.
        features_dir: folder of all features.
        metadata_dir: folder of the lists.
        out_path: file for the scores of both splits.

    Raises:
        AvsedError: if features or a list are missing, or the model was trained on features that
            were computed with other parameters.
    """
    device = choose_device()
    card = read_model_card(model_dir)
    for kind in card.kinds:
        if dict(describe_shards(features_dir, kind)[0]) != card.provenance[kind]:
            raise AvsedError(
                f"{features_dir / kind}: parameters differ from those of the features that "
                f"{model_dir} was trained on; run `dvc repro train@{model_dir.name}`"
            )
    students = {
        seed: load_student(card, path, device) for seed, path in seed_paths(model_dir).items()
    }
    keep_freed_memory()
    splits = {}
    for split in EVALUATION_SPLITS:
        _, clips = load_split(features_dir, metadata_dir, split, card.kinds)
        mask = clips.mask if card.mask_padding else torch.ones_like(clips.mask)
        splits[split] = ScoredSplit(
            clip_ids=clips.clip_ids,
            valid_frames=clips.mask.sum(1).numpy(),
            seeds={
                seed: score_clips(student, clips, mask, device)
                for seed, student in tqdm(students.items(), desc=split, unit="seed")
            },
        )
    write_scores(out_path, splits)


@torch.inference_mode()
def score_clips(student: Crnn, clips: ClipFeatures, mask: Tensor, device: torch.device) -> Scores:
    """Score clips with one student.

    Args:
        student: student in evaluation mode.
        clips: n clips.
        mask: (n, T) true where a frame counts in the clip scores.
        device: the student's device.
    """
    frame_scores, clip_scores = [], []
    for start in range(0, len(clips.clip_ids), BATCH_SIZE):
        rows = slice(start, start + BATCH_SIZE)
        features = {
            kind: clips.features[kind][rows].to(device, torch.float32) for kind in student.kinds
        }
        frames, whole = student(features, mask[rows].to(device))
        frame_scores.append(frames.cpu().numpy())
        clip_scores.append(whole.cpu().numpy())
    return Scores(
        frame_scores=np.concatenate(frame_scores), clip_scores=np.concatenate(clip_scores)
    )
