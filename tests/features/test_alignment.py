"""Alignment in time: clicks and flashes at two moments, from the file to each kind of features."""

import subprocess

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.dataset.ffmpeg import ffmpeg_path
from avsed.framing import FRAME_HOP, N_FRAMES, TIME_POOLING
from tests.conftest import features_of
from tests.helpers.extractors import extractor

pytestmark = pytest.mark.slow

RATE = 50  # pictures a second
# Seconds, one in each half of the clip, and further apart than the window of any kind is long.
MOMENTS = (2.5, 7.14)
HALVES = (slice(0, N_FRAMES // 2), slice(N_FRAMES // 2, N_FRAMES))


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[np.float32]]:
    """Extract features of 10 s of dark silence with a click and a bright image at each moment."""
    path = tmp_path_factory.mktemp("moments") / "moments.mp4"
    numbers = [round(second * RATE) for second in MOMENTS]
    bright = "+".join(f"between(N,{number - 2},{number + 2})" for number in numbers)
    click = "+".join(f"lt(abs(t-{second}),0.002)" for second in MOMENTS)
    picture = (
        f"nullsrc=size=64x64:rate={RATE}:duration=10,geq=lum='if({bright},235,16)':cb=128:cr=128"
    )
    sound = f"aevalsrc='0.5*({click})*sin(2*PI*2000*t)':duration=10"
    inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"{sound}:sample_rate=44100")
    command = [ffmpeg_path(), "-v", "error", *inputs, "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(command, check=True)
    kinds = ("spectral", "visual", "auditory", "auditory_centered")
    return {kind: features_of(extractor(kind), path, 10.0) for kind in kinds}


def middle_of_response(features: NDArray[np.float32], half: slice) -> float:
    """Return the middle of the frames of one half that differ from the rest of the clip."""
    distance = np.abs(features - np.median(features, axis=0)).sum(axis=1)[half]
    frames = np.flatnonzero(distance > 0.1 * distance.max())
    return float(half.start + (frames[0] + frames[-1]) / 2)


@pytest.mark.parametrize(("second", "half"), [*zip(MOMENTS, HALVES, strict=True)])
def test_click_and_flash_fall_on_one_frame_of_every_kind(
    second: float, half: slice, features: dict[str, NDArray[np.float32]]
) -> None:
    expected = second / FRAME_HOP
    columns = slice(half.start * TIME_POOLING, half.stop * TIME_POOLING)
    loudest = columns.start + features["spectral"][columns].max(axis=1).argmax()
    assert loudest / TIME_POOLING == pytest.approx(expected, abs=1)
    assert middle_of_response(features["visual"], half) == pytest.approx(expected, abs=1)
    centered = middle_of_response(features["auditory_centered"], half)
    assert centered == pytest.approx(expected, abs=1)
    # The paper's frame k hears 0.06 k to 0.06 k + 0.96 s: it runs ahead, and falls behind.
    as_the_paper = middle_of_response(features["auditory"], half)
    assert as_the_paper == pytest.approx((second - 0.48) / 0.06, abs=1)
