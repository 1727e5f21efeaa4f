"""Draw a prediction: spectrogram, images and classes on one time axis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import librosa
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from avsed.dataset.ffmpeg import DecodeError
from avsed.dataset.media import Image
from avsed.errors import AvsedError
from avsed.features.spectral import N_MELS
from avsed.framing import FRAME_HOP, SPECTRAL_HOP_LENGTH, SPECTRAL_SAMPLE_RATE, TIME_POOLING
from avsed.prediction.predict import OVERLAP, Prediction
from avsed.prediction.windows import WINDOW_HOP, Window, read_windows
from avsed.runtime.figure_file import require_drawable, save_figure

WIDTH = 12.0  # inches
N_POINTS = 1000  # maximum number of drawn scores per class
WINDOW_LENGTH = 2048  # samples; for the drawing, independent of the model
FLOOR = -100.0  # dB
SHOWN_RANGE = 80.0  # dB below the loudest
FINE_FRAMES = 2000  # shorter files show every spectral frame
STRIP_HEIGHT = 1.0  # inches
IMAGE_HEIGHT = 120  # pixels


def plot_prediction(prediction: Prediction, path: Path) -> None:
    """Draw a file's spectrogram and images, if it has them, above its classes.

    For each class, darkness shows the frame scores, and boxes the events.

    Args:
        prediction: its media file must still exist.
        path: the figure; its extension determines the format.

    Raises:
        AvsedError: if the format is unknown, or a stream that the model did not need cannot be
            decoded to its end.
    """
    require_drawable(path)
    panels = {"classes": (_draw_classes, 0.5 + 0.3 * len(prediction.classes))}
    if prediction.has_video:
        panels = {"images": (_draw_images, STRIP_HEIGHT)} | panels
    if prediction.has_audio:
        panels = {"sound": (_draw_sound, 2.5)} | panels
    heights = [height for _, height in panels.values()]
    figure = Figure(figsize=(WIDTH, sum(heights) + 1.0), layout="constrained")
    all_axes = figure.subplots(
        len(panels), sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    for axes, (draw, _) in zip(all_axes, panels.values(), strict=True):
        try:
            draw(axes, prediction)
        except DecodeError as error:
            raise AvsedError(
                f"{prediction.path}: cannot be drawn ({error}); convert or repair it"
            ) from None
    all_axes[-1].set_xlim(0.0, prediction.duration)
    all_axes[-1].set_xlabel("seconds")
    figure.suptitle(prediction.name, parse_math=False)
    save_figure(figure, path)


def _draw_sound(axes: Axes, prediction: Prediction) -> None:
    decibels, duration = _spectrogram(prediction)
    loudest = max(decibels.max(), FLOOR + SHOWN_RANGE)  # silence is dark
    axes.imshow(
        decibels,
        aspect="auto",
        origin="lower",
        extent=(0.0, duration, 0.0, N_MELS),
        vmin=loudest - SHOWN_RANGE,
        vmax=loudest,
        cmap="magma",
    )
    axes.set_ylabel("mel band")


def _spectrogram(prediction: Prediction) -> tuple[NDArray[np.floating[Any]], float]:
    """Compute (M, columns) in dB at the original loudness, and the seconds of the columns."""
    pooled = 1 if len(prediction.frame_scores) <= FINE_FRAMES else TIME_POOLING
    n_hop, n_overlap = (n * TIME_POOLING // pooled for n in (WINDOW_HOP, OVERLAP))
    parts: list[NDArray[np.float32]] = []
    windows: Iterator[Window[None]] = read_windows(
        prediction.path.resolve(), sample_rates=[SPECTRAL_SAMPLE_RATE]
    )
    for window in windows:
        magnitudes = _magnitudes(window.media.waveforms[SPECTRAL_SAMPLE_RATE], pooled)
        if parts:  # windows are joined in the middle of their overlap, away from their edges
            parts[-1] = parts[-1][:, : n_hop if len(parts) > 1 else n_hop + n_overlap // 2]
            magnitudes = magnitudes[:, n_overlap // 2 :]
        parts.append(magnitudes)
    lowest = 10.0 ** (FLOOR / 20.0)
    decibels = 20.0 * np.log10(np.maximum(np.concatenate(parts, axis=1), lowest))
    hop = pooled * SPECTRAL_HOP_LENGTH / SPECTRAL_SAMPLE_RATE
    return decibels, decibels.shape[1] * hop


def _magnitudes(waveform: NDArray[np.float32], pooled: int) -> NDArray[np.float32]:
    """Compute the mel spectrogram of a window, (M, columns), averaging spectral frames."""
    n_columns = len(waveform) // (SPECTRAL_HOP_LENGTH * pooled)
    mel: NDArray[np.float32] = librosa.feature.melspectrogram(
        y=np.pad(waveform, (0, WINDOW_LENGTH)),  # the waveform may be shorter than one window
        sr=SPECTRAL_SAMPLE_RATE,
        n_fft=WINDOW_LENGTH,
        hop_length=SPECTRAL_HOP_LENGTH,
        n_mels=N_MELS,
        power=1.0,
    )
    columns = mel[:, : n_columns * pooled].reshape(N_MELS, n_columns, pooled)
    return np.asarray(columns.mean(axis=2))


def _draw_images(axes: Axes, prediction: Prediction) -> None:
    """Draw images side by side, each from the middle of the time that it covers."""
    images = _pick_images(prediction)
    step = prediction.duration / len(images)
    for number, image in enumerate(images):
        extent = (number * step, (number + 1) * step, 0.0, 1.0)
        axes.imshow(image, aspect="auto", extent=extent)
    axes.set_ylim(0.0, 1.0)
    axes.set_yticks([])
    axes.set_ylabel("images")


def _pick_images(prediction: Prediction) -> list[Image]:
    """Select as many images as fit, by decoding the whole file.

    Seeking would be faster, but shows artifacts if a video has no clean keyframe.
    """
    n_frames = len(prediction.frame_scores)
    selected: list[Image] = []
    wanted: list[int] = []
    for window in read_windows(prediction.path.resolve(), each_image=_shrink):
        images, index = window.media.images, window.media.image_index
        if not wanted:
            height, width, _ = images[0].shape
            n_images = max(1, round(WIDTH * height / (STRIP_HEIGHT * width)))
            wanted = [int((k + 0.5) * n_frames / n_images) for k in range(n_images)]
        selected += [
            images[index[frame - window.first_frame]]
            for frame in wanted[len(selected) :]
            if frame < window.first_frame + len(index)
        ]
    # The last image is held if the video is shorter than the audio.
    return selected + [selected[-1]] * (len(wanted) - len(selected))


def _shrink(image: Image) -> Image:
    step = max(1, len(image) // IMAGE_HEIGHT)
    return image[::step, ::step].copy()


def _draw_classes(axes: Axes, prediction: Prediction) -> None:
    n_frames, n_classes = prediction.frame_scores.shape
    axes.imshow(
        prediction.highest_scores(N_POINTS).T,
        aspect="auto",
        extent=(0.0, n_frames * FRAME_HOP, n_classes, 0.0),
        vmin=0.0,
        vmax=1.0,
        cmap="Greys",
        interpolation="nearest",  # so that classes do not blend into each other
    )
    for row, label in enumerate(prediction.classes):
        spans = [
            (event.onset, event.offset - event.onset)
            for event in prediction.events
            if event.label == label
        ]
        axes.broken_barh(spans, (row + 0.1, 0.8), facecolor="none", edgecolor="C3", linewidth=2)
    axes.set_yticks(np.arange(n_classes) + 0.5, prediction.classes, parse_math=False)
