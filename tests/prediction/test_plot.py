"""The plot of a prediction: real images, read back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread

from avsed.dataset.ffmpeg import run_ffmpeg
from avsed.errors import AvsedError
from avsed.evaluation.postprocess import DetectedEvent
from avsed.framing import FRAME_HOP, SPECTRAL_SAMPLE_RATE
from avsed.prediction import plot
from avsed.prediction.plot import plot_prediction
from avsed.prediction.predict import Prediction


def predicted(path: Path, duration: float, *, audio: bool = True, video: bool = True) -> Prediction:
    n_frames = round(duration / FRAME_HOP)
    scores = np.zeros((n_frames, 2), np.float32)
    scores[n_frames // 2 :, 0] = 0.9
    return Prediction(
        path=path,
        has_audio=audio,
        has_video=video,
        duration=duration,
        classes=("Cat", "$Dog_{"),
        frame_scores=scores,
        clip_scores=scores.max(axis=0),
        tags=("Cat",),
        events=(DetectedEvent(onset=duration / 2, offset=duration, label="Cat", score=0.8),),
        warning="",
    )


def sweep(path: Path, duration: float) -> Path:
    """Create a tone that rises in the middle, and a video that changes there."""
    tone = f"sine=frequency=300:duration={duration / 2},aformat=sample_rates=44100"
    high = f"sine=frequency=3000:duration={duration / 2},aformat=sample_rates=44100"
    sound = f"{tone}[a];{high}[b];[a][b]concat=v=0:a=1"
    film = f"testsrc=duration={duration}:size=64x48:rate=5"
    run_ffmpeg(["-f", "lavfi", "-i", film, "-f", "lavfi", "-i", sound, str(path)])
    return path


def draw_first_panel(prediction: Prediction, monkeypatch: pytest.MonkeyPatch) -> Axes:
    """Plot a prediction and return the top panel, of sound or else of images."""
    figures: list[Figure] = []
    monkeypatch.setattr(plot, "save_figure", lambda figure, path: figures.append(figure))
    plot_prediction(prediction, prediction.path.with_suffix(".png"))
    (figure,) = figures
    return figure.axes[0]


def draw_spectrogram(
    path: Path, duration: float, monkeypatch: pytest.MonkeyPatch
) -> tuple[np.ndarray, float]:
    """Plot a file's sound and return the spectrogram's values and its end in seconds."""
    panel = draw_first_panel(predicted(path, duration), monkeypatch)
    (image,) = panel.images
    start, end, _, _ = image.get_extent()
    assert start == 0.0
    return np.asarray(image.get_array()), end


@pytest.mark.parametrize("duration", [4.0, 40.0])
def test_the_spectrogram_spans_the_file(
    duration: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sweep(tmp_path / "sweep.mkv", duration)
    decibels, seconds = draw_spectrogram(path, duration, monkeypatch)
    assert seconds == pytest.approx(duration, abs=0.05)
    assert decibels.shape[1] == pytest.approx(duration * SPECTRAL_SAMPLE_RATE / 366, abs=3)
    loudest = decibels.argmax(axis=0)
    middle = len(loudest) // 2
    assert np.ptp(loudest[5 : middle - 5]) <= 1 and np.ptp(loudest[middle + 5 : -20]) <= 1
    assert loudest[middle + 9] > loudest[middle - 9] + 20


def test_a_long_files_spectrogram_has_a_column_for_each_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sweep(tmp_path / "sweep.mkv", 140.0)
    decibels, seconds = draw_spectrogram(path, 140.0, monkeypatch)
    assert decibels.shape[1] == pytest.approx(140.0 / FRAME_HOP, abs=3)
    assert seconds == pytest.approx(140.0, abs=0.15)


@pytest.mark.parametrize(
    ("audio", "video", "height"), [(True, True, 560), (True, False, 460), (False, True, 310)]
)
def test_what_a_file_has_is_drawn(audio: bool, video: bool, height: int, tmp_path: Path) -> None:
    path = sweep(tmp_path / "a $x_ b.mkv", 4.0)
    plot_prediction(predicted(path, 4.0, audio=audio, video=video), tmp_path / "plot.png")
    drawn = imread(tmp_path / "plot.png")
    assert drawn.shape[:2] == (height, 1200)
    colorful = np.ptp(drawn[..., :3], axis=2).max(axis=1) > 0.5
    assert colorful.any()


@pytest.mark.parametrize("duration", [4.0, 25.0])
def test_the_strip_has_the_pictures_of_its_times(
    duration: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "brighter.mkv"
    film = (
        f"nullsrc=duration={duration}:size=64x48:rate=25,geq=lum='200*T/{duration}':cb=128:cr=128"
    )
    run_ffmpeg(["-f", "lavfi", "-i", film, "-c:v", "ffv1", str(path)])
    pictures = draw_first_panel(predicted(path, duration, audio=False), monkeypatch).images
    assert len(pictures) == 9  # 12 inches of 4:3
    starts, ends, _, _ = zip(*(picture.get_extent() for picture in pictures), strict=True)
    assert [*starts, duration] == pytest.approx([0.0, *ends])
    levels = [
        float(np.asarray(picture.get_array()).mean()) * 219 / 255 + 16 for picture in pictures
    ]
    expected = [200 * (number + 0.5) / 9 for number in range(9)]
    assert np.maximum(levels, 16) == pytest.approx(
        np.maximum(expected, 16), abs=7.0
    )  # two frames of 4 s


def test_a_format_that_is_not_known_is_refused(tmp_path: Path) -> None:
    prediction = predicted(tmp_path / "any.wav", 4.0, audio=False, video=False)
    with pytest.raises(AvsedError, match=r"plot\.doc: cannot be drawn .*; name a \.png elsewhere"):
        plot_prediction(prediction, tmp_path / "plot.doc")
    with pytest.raises(AvsedError, match="cannot be drawn"):
        plot_prediction(replace(prediction, classes=("Cat", "Dog")), tmp_path / "no" / "plot.png")
