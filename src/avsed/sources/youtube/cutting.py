"""Cut a clip from a downloaded video into a small mp4 file, and check the result."""

import subprocess
from pathlib import Path

import ffmpeg

from avsed.dataset.clips import ClipRecord
from avsed.dataset.ffmpeg import DecodeError, file_url, run_ffmpeg
from avsed.dataset.header import Header, read_header
from avsed.dataset.inspection import inspect_clip
from avsed.dataset.media import TIMING
from avsed.sources.youtube.failures import FetchError, Outcome
from avsed.sources.youtube.fetching import Video
from avsed.sources.youtube.lists import Segment

LARGEST_SIDE = 360  # pixels of the shorter side, if no smaller video was offered
TOLERANCE = 1.0  # seconds that a clip may lack at its end: sites round durations
SHORTEST = 0.2  # minimum seconds of a useful clip

# Even sides, as H.264 requires, and the original aspect ratio.
_SMALLER = "if(gt(iw,ih),{landscape},{portrait})"
_WIDTH = _SMALLER.format(landscape="-2", portrait=f"trunc(min({LARGEST_SIDE},iw)/2)*2")
_HEIGHT = _SMALLER.format(landscape=f"trunc(min({LARGEST_SIDE},ih)/2)*2", portrait="-2")
_ENCODING = {
    "vcodec": "libx264",
    "preset": "veryfast",
    "crf": 20,
    "pix_fmt": "yuv420p",
    "acodec": "aac",
    "audio_bitrate": "192k",
    "movflags": "+faststart",
}


def cut_clip(video: Video, segment: Segment, path: Path) -> ClipRecord:
    """Cut a clip, re-encoding it so that it starts at the exact time and not at a keyframe.

    Args:
        video: the downloaded file.
        segment: the part of the video to cut.
        path: an mp4 file to write, in a folder that exists.

    Returns:
        The record of the clip, which has video and the requested or the longest possible
        duration.

    Raises:
        FetchError: if the file is damaged, has no video, or ends before the clip.
        OSError: if a disk is full.
    """
    try:
        header = read_header(video.path)
    except DecodeError as error:
        raise FetchError(Outcome.TEMPORARY, "damaged", str(error)) from None
    if not header.video:
        raise FetchError(Outcome.TEMPORARY, "no video", "only audio was delivered")
    ends = max(video.duration or 0.0, video.start + header.duration)
    if 0 < ends < segment.start + SHORTEST:
        raise FetchError(
            Outcome.GONE,
            "shortened",
            f"the video ends at {ends:g} s, the clip starts at {segment.start:g} s",
        )
    try:
        run_ffmpeg(_command(video, header, segment, path), out_dir=path.parent)
    except subprocess.CalledProcessError as error:
        warning = error.stderr.decode(errors="replace").strip().splitlines()
        raise FetchError(
            Outcome.TEMPORARY, "damaged", warning[0] if warning else "ffmpeg failed"
        ) from None
    except subprocess.TimeoutExpired:
        raise FetchError(Outcome.TEMPORARY, "damaged", "ffmpeg hangs") from None

    record = inspect_clip(segment.clip_id, path)
    if record.status != "ok":
        raise FetchError(Outcome.TEMPORARY, "damaged", record.reason)
    if not record.has_video:
        raise FetchError(Outcome.TEMPORARY, "damaged", record.reason)
    expected = min(segment.duration, ends - segment.start) if ends else segment.duration
    # Audio and video may end at different times.
    reached = max(record.duration, read_header(path).duration)
    if reached < expected - TOLERANCE:
        raise FetchError(Outcome.TEMPORARY, "damaged", f"ends {expected - reached:.1f} s too early")
    return record


def _command(video: Video, header: Header, segment: Segment, path: Path) -> list[str]:
    first = segment.start - video.start
    source = ffmpeg.input(file_url(video.path), ss=first, t=segment.duration)
    streams = [source[str(header.video[0].index)].filter("scale", _WIDTH, _HEIGHT)]
    if header.audio:
        # An encoder ignores time stamps. The lower limit leaves room for the error of decoding.
        timing = {**TIMING, "min_hard_comp": 0.005}
        streams.append(source[str(header.audio[0].index)].filter("aresample", **timing))
    output = ffmpeg.output(*streams, file_url(path), t=segment.duration, **_ENCODING)
    arguments: list[str] = output.global_args("-loglevel", "error").overwrite_output().get_args()
    return arguments
