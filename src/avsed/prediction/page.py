"""Write a prediction as one page for a browser: player, timelines, and a playhead that follows."""

import base64
import subprocess
import tempfile
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from avsed.dataset.ffmpeg import TIME_LIMIT, ffmpeg_path, file_url, raise_if_machine_failed
from avsed.errors import AvsedError
from avsed.prediction.predict import Prediction
from avsed.runtime.files import atomic_write, work_folder

LARGEST_MEDIA = 350_000_000  # bytes; browsers refuse addresses of more than 512 MB, in base64
N_POINTS = 1000  # of a class's curve, at most
N_TICKS = 12  # at most
TICK_STEPS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)  # seconds

# Second 0 of the page's media is that of the container, as in the prediction.
_AUDIO = ("-map", "0:a:0", "-af", "aresample=async=1:first_pts=0", "-c:a", "aac", "-b:a", "128k")
_VIDEO = (
    *("-map", "0:V:0", "-vf"),
    "fps=25:start_time=0,scale=w='min(640,iw)':h='min(360,ih)'"
    ":force_original_aspect_ratio=decrease:force_divisible_by=2,setsar=1",
    *("-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-pix_fmt", "yuv420p"),
)


def write_page(prediction: Prediction, path: Path) -> None:
    """Write a page that needs nothing beside it: the media are in it.

    They are always encoded anew, as H.264 and AAC of 360 lines at most, which every browser plays
    and an hour of which fits.

    Args:
        prediction: of a file that is still there.
        path: becomes the page.

    Raises:
        AvsedError: if the media cannot be encoded, or are too large.
        OSError: if a disk is full.
    """
    template = files("avsed.prediction").joinpath("page.html").read_text("utf-8")
    before, after = template.split("$media", 1)
    fields = _fields(prediction)
    with work_folder(Path(tempfile.gettempdir())) as folder:
        media_path = _encode(prediction, folder)
        with atomic_write(path) as part, part.open("w", encoding="utf-8") as page:
            page.write(Template(before).substitute(fields))
            with media_path.open("rb") as media:
                while block := media.read(3 * 2**20):  # a multiple of 3 needs no padding
                    page.write(base64.b64encode(block).decode())
            page.write(Template(after).substitute(fields))


def _encode(prediction: Prediction, folder: Path) -> Path:
    media_path = folder / "media.mp4"
    command = [
        *(ffmpeg_path(), "-loglevel", "error", "-i", file_url(prediction.path)),
        *(_AUDIO if prediction.has_audio else ()),
        *(_VIDEO if prediction.has_video else ()),
        *("-movflags", "+faststart", str(media_path)),
    ]
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=TIME_LIMIT + prediction.duration,  # it is faster than playing
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        if isinstance(error, subprocess.CalledProcessError):
            raise_if_machine_failed(error, folder)
        said = (error.stderr or b"").decode("utf-8", "replace").strip().splitlines()
        reason = said[0] if said else f"{ffmpeg_path()} does not end"
        raise AvsedError(
            f"{prediction.path}: cannot be encoded for a browser ({reason}); an ffmpeg with "
            "libx264 is needed, as is the packaged one"
        ) from None
    n_bytes = media_path.stat().st_size
    if n_bytes > LARGEST_MEDIA:
        raise AvsedError(
            f"{prediction.path}: its {n_bytes / 1e6:,.0f} MB are more than a page can hold "
            f"({LARGEST_MEDIA / 1e6:,.0f}); cut the file into parts"
        )
    return media_path


def _fields(prediction: Prediction) -> dict[str, str]:
    """Fill the template in; all that comes from outside is escaped."""
    scores = dict(zip(prediction.classes, prediction.clip_scores.tolist(), strict=True))
    named = [f"{escape(tag)} {scores[tag]:.2f}" for tag in prediction.tags]
    labels = [
        f'<div class="{"tag" if label in prediction.tags else "other"}">'
        f"{escape(label)} {scores[label]:.2f}</div>"
        for label in prediction.classes
    ]
    element = "video" if prediction.has_video else "audio"
    return {
        "name": escape(prediction.name),
        "tags": ", ".join(named) or "none",
        "warning": f"<p>{escape(prediction.warning)}</p>" if prediction.warning else "",
        "element": element,
        "mime": f"{element}/mp4",
        "duration": f"{prediction.duration:.3f}",
        "labels": "\n".join(labels),
        "tracks": "\n".join([*_tracks(prediction), *_ticks(prediction.duration)]),
        "events": _table(prediction),
    }


def _tracks(prediction: Prediction) -> Iterator[str]:
    """Draw each class's scores, and its events upon them."""
    curves = prediction.highest_scores(N_POINTS).T.tolist()
    for label, scores in zip(prediction.classes, curves, strict=True):
        curve = " ".join(f"{x},{1 - y:.3f}" for x, y in enumerate(scores))
        bars = "".join(
            f'<div class="event" title="{escape(label)} {event.onset:.2f} to {event.offset:.2f} s" '
            f'style="left:{100 * event.onset / prediction.duration:.4f}%;'
            f'width:{100 * (event.offset - event.onset) / prediction.duration:.4f}%"></div>'
            for event in prediction.events
            if event.label == label
        )
        n = len(scores)
        yield (
            f'<div class="track"><svg viewBox="0 0 {n} 1" preserveAspectRatio="none" '
            f'aria-hidden="true"><polygon points="0,1 {curve} {n},{1 - scores[-1]:.3f} {n},1"/>'
            f"</svg>{bars}</div>"
        )


def _ticks(duration: float) -> Iterator[str]:
    step = next((step for step in TICK_STEPS if duration / step <= N_TICKS), TICK_STEPS[-1])
    yield '<div class="track">'
    for second in np.arange(0.0, duration, step).tolist():
        minutes, seconds = divmod(second, 60)
        shown = f"{minutes:.0f}:{seconds:02.0f}" if duration > 60 else f"{seconds:g} s"
        yield f'<div class="tick" style="left:{100 * second / duration:.4f}%">{shown}</div>'
    yield "</div>"


def _table(prediction: Prediction) -> str:
    if not prediction.events:
        return "<p>none</p>"
    rows = [
        f'<tr><td><button type="button" data-onset="{event.onset:.3f}">{event.onset:.2f}</button>'
        f"</td><td>{event.offset:.2f}</td><td>{escape(event.label)}</td></tr>"
        for event in prediction.events
    ]
    header = '<th scope="col">onset (s)</th><th scope="col">offset (s)</th><th scope="col">event'
    return f"<table><thead><tr>{header}</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
