"""Draw the features of a clip, all kinds on one time axis."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from avsed.dataset.shards import clips_with_features, kinds_in, read_features
from avsed.errors import AvsedError
from avsed.framing import CLIP_DURATION, FRAME_HOP
from avsed.runtime.figure_file import require_drawable, save_figure

_RANGE = (1, 99)  # percentiles of the values that the colors span


def plot_features(features_dir: Path, clip_id: str, path: Path) -> None:
    """Draw the features of a clip to a file.

    Args:
        features_dir: the folder of all kinds.
        clip_id: the clip.
        path: the figure; its extension determines the format.

    Raises:
        AvsedError: if no kind of features has the clip, they cannot be read, or the format is
            unknown.
    """
    require_drawable(path)
    kinds = [
        kind
        for kind in kinds_in(features_dir)
        if clip_id in clips_with_features(features_dir, kind)
    ]
    if not kinds:
        raise AvsedError(
            f"{features_dir}: has no features of {clip_id}; data/clips.csv names the clips, and "
            "left_out.csv in each kind's folder those that could not be read"
        )
    figure = Figure(figsize=(10, 2.5 * len(kinds)), layout="constrained")
    panels = figure.subplots(len(kinds), sharex=True, squeeze=False)[:, 0]
    for axes, kind in zip(panels, kinds, strict=True):
        features, valid_frames = read_features(features_dir, kind, [clip_id])
        values = features[0].astype(np.float32)
        lowest, highest = np.percentile(values, _RANGE)
        axes.imshow(
            values.T,
            aspect="auto",
            origin="lower",
            extent=(0.0, CLIP_DURATION, 0.0, values.shape[1]),
            vmin=lowest,
            vmax=highest,
            interpolation="none",
        )
        axes.axvline(min(valid_frames[0] * FRAME_HOP, CLIP_DURATION), color="white", linestyle=":")
        axes.set_title(kind, loc="left")
        axes.set_ylabel("mel band" if kind == "spectral" else "network's outputs")
    axes.set_xlabel("seconds; padding after the dotted line")
    figure.suptitle(clip_id)
    save_figure(figure, path)
