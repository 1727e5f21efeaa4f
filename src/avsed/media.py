"""Decode audio and pictures of any container by ffmpeg (Section 4.2)."""

import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import ffmpeg
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from avsed.errors import AvsedError
from avsed.framing import CLIP_DURATION, IMAGE_RATE, n_samples

PROBE_SAMPLE_RATE = 16_000  # Hz; only counted
TIME_LIMIT = 60  # seconds of one run of ffmpeg; a clip takes one at most
ATTEMPTS = 3

_STREAM = re.compile(r"^\s*Stream #\d+:\d+.*?: (Audio|Video): (?!none)(?!.*\(attached pic\))", re.M)
_DURATION = re.compile(r"^  Duration: (\d+):(\d+):(\d+\.\d+)", re.M)


class DecodeError(Exception):
    """A media file, or one of its streams, cannot be decoded: a fact about the clip."""


@dataclass(frozen=True, kw_only=True)
class Streams:
    """What a media file holds.

    Attributes:
        has_audio: whether audio can be decoded.
        has_video: whether pictures can be decoded.
        duration: seconds of audio, of pictures where there is none; at most `CLIP_DURATION`.
        remark: why a stream that the container names cannot be decoded; else empty.
    """

    has_audio: bool
    has_video: bool
    duration: float
    remark: str


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a media file says of itself.

    Attributes:
        streams: the kinds of streams that it names, of "Audio" and "Video".
        duration: seconds; 0 where it does not say.
    """

    streams: frozenset[str]
    duration: float


@cache
def ffmpeg_path() -> str:
    """Find the system's ffmpeg; where there is none, the one of imageio-ffmpeg."""
    return shutil.which("ffmpeg") or str(imageio_ffmpeg.get_ffmpeg_exe())


def probe(path: Path) -> Streams:
    """Decode a media file's streams, to see what there is of them.

    Raises:
        DecodeError: if no stream can be decoded.
    """
    named = read_header(path).streams
    remarks = []
    audio_duration = image_duration = 0.0
    if "Audio" in named:
        try:
            audio_duration = len(read_audio(path, PROBE_SAMPLE_RATE)) / PROBE_SAMPLE_RATE
        except DecodeError as error:
            remarks.append(str(error))
    if "Video" in named:
        try:
            image_duration = sum(1 for _ in read_images(path)) / float(IMAGE_RATE)
        except DecodeError as error:
            remarks.append(str(error))
    if not audio_duration and not image_duration:
        raise DecodeError("; ".join(remarks) or "has neither audio nor video")
    return Streams(
        has_audio=audio_duration > 0,
        has_video=image_duration > 0,
        duration=min(audio_duration or image_duration, CLIP_DURATION),
        remark="; ".join(remarks),
    )


def read_audio(path: Path, sample_rate: int) -> NDArray[np.float32]:
    """Decode the first 10 s of audio, mixed to one channel.

    Args:
        path: a media file.
        sample_rate: Hz, to which ffmpeg resamples.

    Returns:
        (n_samples,), at most 10 s; full scale is 1. A stream that starts late is preceded by
        silence, so that sample 0 is second 0 of the container.

    Raises:
        DecodeError: if there is no audio, or it cannot be decoded.
    """
    # `async` fills what timestamps leave out, `first_pts` what lies before the first of them.
    stream = (
        ffmpeg.input(str(path), t=CLIP_DURATION)
        .audio.filter("aresample", sample_rate, **{"async": 1, "first_pts": 0})
        .output("pipe:", format="f32le", acodec="pcm_f32le", ac=1)
    )
    waveform = np.frombuffer(_decode(stream, "audio"), dtype="<f4")
    if waveform.size == 0:
        raise DecodeError("audio: no sample can be decoded")
    if not np.isfinite(waveform).all():
        raise DecodeError("audio: holds samples that are no finite numbers")
    return waveform[: n_samples(CLIP_DURATION, sample_rate)].astype(np.float32)


def read_images(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Decode pictures of the first 10 s, `IMAGE_RATE` a second (Section 4.2).

    Args:
        path: a media file.

    Yields:
        (height, width, 3) RGB, in the picture's own size: the one shown nearest to each frame's
        onset, at most one a frame. A stream that starts late starts with its first picture.

    Raises:
        DecodeError: if there is no video, or it cannot be decoded.
    """
    rate = f"{IMAGE_RATE.numerator}/{IMAGE_RATE.denominator}"
    # PPM says each picture's size, which rotation and odd files may change on the way.
    with tempfile.NamedTemporaryFile(suffix=".ppm") as file:
        stream = (
            ffmpeg.input(str(path), t=CLIP_DURATION)
            .video.filter("fps", rate, start_time=0, round="near")
            .output(file.name, format="image2pipe", vcodec="ppm", pix_fmt="rgb24")
        )
        _decode(stream, "video")
        n_images = 0
        for image in _ppm_images(file):
            n_images += 1
            yield image
    if not n_images:
        raise DecodeError("video: no picture can be decoded")


def read_header(path: Path) -> Header:
    """Read what a media file says of itself, without decoding it.

    Raises:
        DecodeError: if it is no media file.
    """
    try:
        run_ffmpeg(["-hide_banner", "-i", str(path)])
    except subprocess.CalledProcessError as error:
        # ffmpeg describes its input before it complains that no output is given.
        described = error.stderr.decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        raise DecodeError(f"ffmpeg takes more than {TIME_LIMIT} s") from None
    if "Stream #" not in described:
        raise DecodeError(_reason(described))
    duration = _DURATION.search(described)
    hours, minutes, seconds = duration.groups() if duration else ("0", "0", "0")
    return Header(
        streams=frozenset(_STREAM.findall(described)),
        duration=int(hours) * 3600 + int(minutes) * 60 + float(seconds),
    )


def run_ffmpeg(arguments: Sequence[str], *, stdin: bytes = b"") -> tuple[bytes, bytes]:
    """Run ffmpeg, again if it hangs.

    ffmpeg's threads block each other now and then (seen with 9.0, once in a hundred runs of some
    commands), so that nothing may wait for it without end.

    Args:
        arguments: of the command, without the executable.
        stdin: what it reads from its standard input.

    Returns:
        What it wrote to its standard output and to its standard error.

    Raises:
        AvsedError: if it was killed, or a disk is full.
        subprocess.CalledProcessError: if it fails otherwise.
        subprocess.TimeoutExpired: if it hangs each time.
    """
    for attempt in range(ATTEMPTS):
        try:
            done = subprocess.run(
                [ffmpeg_path(), *arguments],
                input=stdin,
                capture_output=True,
                timeout=TIME_LIMIT,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            _refuse_trouble_of_the_machine(error)
            raise
        except subprocess.TimeoutExpired:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return done.stdout, done.stderr
    raise AssertionError("the last attempt returns or raises")


def _refuse_trouble_of_the_machine(error: subprocess.CalledProcessError) -> None:
    """Stop where a failure says nothing of the clip, which would be left out for good."""
    # A crash, on the other hand, is the clip's doing.
    if error.returncode in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
        raise AvsedError(
            f"ffmpeg was ended by signal {-error.returncode}, for want of memory perhaps; "
            "run the stage again"
        )
    # A header's description holds titles, which may say anything.
    if b"No space left on device" in error.stderr and "-loglevel" in error.cmd:
        raise AvsedError(
            "no space left on device for what ffmpeg writes; make room here, and in "
            f"{tempfile.gettempdir()} (or set TMPDIR)"
        )


def _decode(stream: Any, what: str) -> bytes:
    quiet = stream.global_args("-hide_banner", "-loglevel", "error").overwrite_output()
    try:
        output, _ = run_ffmpeg(quiet.get_args())
    except subprocess.CalledProcessError as error:
        reason = _reason(error.stderr.decode("utf-8", "replace"))
        raise DecodeError(f"{what}: {reason}") from None
    except subprocess.TimeoutExpired:
        raise DecodeError(f"{what}: ffmpeg takes more than {TIME_LIMIT} s") from None
    return output


def _reason(log: str) -> str:
    """Give the first complaint of ffmpeg, without the address it prints before it."""
    lines = log.strip().splitlines()
    ignored = ("At least one output file", "Input #", "misdetection possible")
    complaints = [line for line in lines if not any(words in line for words in ignored)]
    if not complaints:
        return "nothing can be decoded"
    return re.sub(r"^\[[^]]*\] (\[\w+\] )?", "", complaints[0]).strip()


def _ppm_images(stream: IO[bytes]) -> Iterator[NDArray[np.uint8]]:
    while stream.readline() == b"P6\n":
        width, height = (int(field) for field in stream.readline().split())
        stream.readline()  # the largest value, 255
        pixels = stream.read(width * height * 3)
        if len(pixels) < width * height * 3:
            raise DecodeError("video: a picture is cut short")
        yield np.frombuffer(pixels, dtype=np.uint8).reshape(height, width, 3)
