"""Write a prediction as one HTML page: a player, and timelines of events to check and correct."""

import base64
import math
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined

from avsed.dataset.ffmpeg import TIME_LIMIT, ffmpeg_path, file_url, run_ffmpeg
from avsed.dataset.wav import pcm_decoder
from avsed.errors import AvsedError
from avsed.prediction.predict import Prediction
from avsed.runtime.files import atomic_write, work_folder

LARGEST_MEDIA = 350_000_000  # bytes; browsers refuse addresses of more than 512 MB, in base64
N_POINTS = 1000  # of a class's curve, at most
N_TICKS = 12  # at most
TICK_STEPS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)  # seconds
_SCRIPTS = ("page.js", "events.js", "editor.js", "dragging.js")
# Second 0 of the page's media is that of the container, as in the prediction.
_AUDIO = ("-map", "0:a:0", "-af", "aresample=async=1:first_pts=0", "-c:a", "aac", "-b:a", "128k")
_VIDEO = (
    *("-map", "0:V:0", "-vf"),
    "fps=25:start_time=0,scale=w='min(640,iw)':h='min(360,ih)'"
    ":force_original_aspect_ratio=decrease:force_divisible_by=2,setsar=1",
    *("-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-pix_fmt", "yuv420p"),
)


def write_page(prediction: Prediction, path: Path) -> None:
    """Write a page that contains its media and needs no other file.

    The media are always encoded again, as H.264 and AAC of at most 360 lines, which every browser
    plays and an hour of which fits.

    Args:
        prediction: its media file must still exist.
        path: the page to write.

    Raises:
        AvsedError: if the media cannot be encoded, or are too large.
        OSError: if a disk is full.
    """
    before, after = _render(prediction)
    with work_folder(Path(tempfile.gettempdir())) as folder:
        media_path = _encode(prediction, folder)
        with atomic_write(path) as part, part.open("w", encoding="utf-8") as page:
            page.write(before)
            with media_path.open("rb") as media:
                while block := media.read(3 * 2**20):  # a multiple of 3 needs no padding
                    page.write(base64.b64encode(block).decode())
            page.write(after)


def _encode(prediction: Prediction, folder: Path) -> Path:
    media_path = folder / "media.mp4"
    decoder = pcm_decoder(prediction.path)
    arguments = [
        # A hung attempt can leave a part of the file; without -y, ffmpeg keeps it and exits with 0.
        *("-y", "-loglevel", "error"),
        *(("-c:a", decoder) if decoder else ()),
        *("-i", file_url(prediction.path)),
        *(_AUDIO if prediction.has_audio else ()),
        *(_VIDEO if prediction.has_video else ()),
        *("-movflags", "+faststart", str(media_path)),
    ]
    try:
        # Encoding is faster than playing.
        run_ffmpeg(arguments, out_dir=folder, time_limit=TIME_LIMIT + prediction.duration)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        stderr = (error.stderr or b"").decode("utf-8", "replace").strip().splitlines()
        reason = stderr[0] if stderr else f"{ffmpeg_path()} does not end"
        raise AvsedError(
            f"{prediction.path}: cannot be encoded for a browser ({reason}); use an ffmpeg with "
            "libx264, such as the packaged one"
        ) from None
    n_bytes = media_path.stat().st_size
    if n_bytes > LARGEST_MEDIA:
        raise AvsedError(
            f"{prediction.path}: its {n_bytes / 1e6:,.0f} MB are more than a page can hold "
            f"({LARGEST_MEDIA / 1e6:,.0f}); cut the file into parts"
        )
    return media_path


def _render(prediction: Prediction) -> tuple[str, str]:
    """Render the page before and after its media; names and labels are escaped."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    here = files("avsed.prediction")
    template = here.joinpath("page.html").read_text("utf-8")
    rows = _rows(prediction)
    tags = [f"{row.label} {row.clip_score:.2f}" for row in rows if row.is_tag]
    # Media of hundreds of MB are copied in blocks, not rendered.
    before, after = (
        environment.from_string(part).render(
            style=here.joinpath("timelines.css").read_text("utf-8"),
            name=prediction.name,
            tags=", ".join(tags) or "none",
            warning=prediction.warning,
            element="video" if prediction.has_video else "audio",
            duration=prediction.duration,
            rows=rows,
            ticks=_ticks(prediction.duration),
            prediction=_describe(prediction),
            scripts="\n".join(here.joinpath(name).read_text("utf-8") for name in _SCRIPTS),
        )
        for part in template.split("{{ media }}")
    )
    return before, after


def _describe(prediction: Prediction) -> dict[str, object]:
    """Return what the page's scripts know of a prediction, in the milliseconds of lists."""
    # Rounded up, the last event could end after the media; 8.2 s are 8199.999 ms in floating point.
    duration = math.floor(1000 * prediction.duration + 1e-6) / 1000
    return {
        "name": prediction.name,
        "duration": duration,
        "classes": prediction.classes,
        "events": [
            {
                "onset": round(event.onset, 3),
                "offset": min(round(event.offset, 3), duration),
                "label": event.label,
            }
            for event in prediction.events
        ],
    }


@dataclass(frozen=True, kw_only=True)
class _Row:
    """The timeline of a class; `curve` lists the points of its scores as SVG does."""

    label: str
    is_tag: bool
    clip_score: float
    n_points: int
    curve: str


def _rows(prediction: Prediction) -> list[_Row]:
    curves = prediction.highest_scores(N_POINTS).T.tolist()
    clip_scores = prediction.clip_scores.tolist()
    rows = []
    for label, clip_score, scores in zip(prediction.classes, clip_scores, curves, strict=True):
        n = len(scores)
        points = [f"{x},{1 - y:.3f}" for x, y in enumerate(scores)]
        rows.append(
            _Row(
                label=label,
                is_tag=label in prediction.tags,
                clip_score=clip_score,
                n_points=n,
                curve=" ".join(["0,1", *points, f"{n},{1 - scores[-1]:.3f}", f"{n},1"]),
            )
        )
    return rows


def _ticks(duration: float) -> list[tuple[float, str]]:
    """Return the seconds of the axis's ticks and their labels."""
    step = next((step for step in TICK_STEPS if duration / step <= N_TICKS), TICK_STEPS[-1])
    ticks = []
    for second in np.arange(0.0, duration, step).tolist():
        minutes, seconds = divmod(second, 60)
        shown = f"{minutes:.0f}:{seconds:02.0f}" if duration > 60 else f"{seconds:g} s"
        ticks.append((second, shown))
    return ticks
