"""Score the validation and test clips with YAMNet alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from avsed.dataset.annotations import EVALUATION_SPLITS, read_classes, read_list
from avsed.dataset.clips import ClipRecord, read_clips
from avsed.dataset.loading import ClipFeatures
from avsed.errors import AvsedError
from avsed.features.extraction.batching import embed_clips
from avsed.framing import N_FRAMES, valid_frames
from avsed.model.scores import ScoredSplit, write_scores
from avsed.zero_shot.detector import KIND, ZeroShotDetector, load_detector


def score_zero_shot(
    *, clips_dir: Path, clips_path: Path, metadata_dir: Path, out_path: Path
) -> None:
    """Score the validation and test clips with the zero-shot detector.

    Clips without audio have no scores. Classes that AudioSet does not have are named on the
    console.

    Args:
        clips_dir: folder of the media.
        clips_path: `clips.csv`.
        metadata_dir: folder of the lists.
        out_path: file for the scores of both splits, as of a variant with one seed.

    Raises:
        AvsedError: if a file is missing, no clip of a split has audio, or YAMNet's weights cannot
            be downloaded.
    """
    classes = read_classes(metadata_dir)
    detector = load_detector(classes)
    for warning in detector.warnings:
        print(f"warning: {warning}")
    records = {record.clip_id: record for record in read_clips(clips_path) if record.has_audio}
    splits = {}
    for split in EVALUATION_SPLITS:
        listed = [clip.clip_id for clip in read_list(metadata_dir, split, classes)]
        clips = [records[clip_id] for clip_id in listed if clip_id in records]
        splits[split] = _score_split(detector, clips, clips_dir, split)
    write_scores(out_path, splits)


def _score_split(
    detector: ZeroShotDetector, records: Sequence[ClipRecord], clips_dir: Path, split: str
) -> ScoredSplit:
    with tqdm(total=len(records), desc=split, unit="clip") as progress:
        found = embed_clips(
            detector.extractors, {KIND: records}, clips_dir=clips_dir, on_clip=progress.update
        )[KIND]
    for clip_id, reason in sorted(found.left_out.items()):
        print(f"  left out {clip_id}: {reason}")
    durations = {record.clip_id: record.duration for record in records}
    clip_ids = tuple(found.features)
    if not clip_ids:
        raise AvsedError(f"{clips_dir}: no clip of {split} has audio; see data/clips.csv")
    n_valid = np.array([valid_frames(durations[clip_id]) for clip_id in clip_ids])
    clips = ClipFeatures(
        clip_ids=clip_ids,
        features={KIND: torch.from_numpy(np.stack([*found.features.values()]))},
        mask=torch.arange(N_FRAMES) < torch.from_numpy(n_valid)[:, None],
    )
    return ScoredSplit(clip_ids=clip_ids, valid_frames=n_valid, seeds={0: detector.score(clips)})
