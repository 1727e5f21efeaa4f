"""Where in time features fall: a click and a flash of one moment, from the file to each kind."""

import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.config import load_params
from avsed.dataset.ffmpeg import ffmpeg_path
from avsed.framing import FRAME_HOP, TIME_POOLING
from tests.conftest import ROOT, features_of

pytestmark = pytest.mark.slow

RATE = 50  # pictures a second


def click_and_flash(path: Path, second: float) -> Path:
    """Make 10 s of darkness and silence with one bright picture and one click."""
    number = round(second * RATE)
    picture = (
        f"nullsrc=size=64x64:rate={RATE}:duration=10,"
        f"geq=lum='if(between(N,{number - 2},{number + 2}),235,16)':cb=128:cr=128"
    )
    sound = f"aevalsrc='0.5*lt(abs(t-{second}),0.002)*sin(2*PI*2000*t)':duration=10"
    inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"{sound}:sample_rate=44100")
    command = [ffmpeg_path(), "-v", "error", *inputs, "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(command, check=True)
    return path


def extract(kind: str, path: Path, **changes: Any) -> NDArray[np.float32]:
    params = getattr(load_params(ROOT / "params.yaml"), kind).model_copy(update=changes)
    make_extractor = import_module(f"avsed.features.{kind}").make_extractor
    return features_of(make_extractor(params), path, 10.0)


def middle_of_response(features: NDArray[np.float32]) -> float:
    """Find the middle of the frames that differ from the clip's rest."""
    distance = np.abs(features - np.median(features, axis=0)).sum(axis=1)
    frames = np.flatnonzero(distance > 0.1 * distance.max())
    return float(frames[0] + frames[-1]) / 2


@pytest.mark.parametrize("second", [2.5, 7.14])
def test_click_and_flash_fall_on_one_frame_of_every_kind(second: float, tmp_path: Path) -> None:
    path = click_and_flash(tmp_path / "moment.mp4", second)
    expected = second / FRAME_HOP
    spectral = extract("spectral", path).max(axis=1).argmax() / TIME_POOLING
    assert spectral == pytest.approx(expected, abs=1)
    assert middle_of_response(extract("visual", path)) == pytest.approx(expected, abs=1)
    centered = middle_of_response(extract("auditory", path, alignment="centered"))
    assert centered == pytest.approx(expected, abs=1)
    # The paper's frame k hears 0.06 k to 0.06 k + 0.96 s: it runs ahead, and falls behind.
    as_the_paper = middle_of_response(extract("auditory", path, alignment="paper"))
    assert as_the_paper == pytest.approx((second - 0.48) / 0.06, abs=1)
