"""Probe a media file and record its streams."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.clips import ClipRecord, failed_clip
from avsed.dataset.ffmpeg import DecodeError
from avsed.dataset.header import Header, read_header
from avsed.dataset.media import TOLERANCE, Image, Media, alternatives, read_media
from avsed.framing import CLIP_DURATION, IMAGE_RATE
from avsed.runtime.files import file_sha256

PROBE_SAMPLE_RATE = 16_000  # Hz; samples are only counted and compared with silence
SILENCE = 1e-4  # of full scale: lossy codecs leave a little noise in silence
SILENT_END = 1.0  # seconds; shorter silence at the end of a clip is not reported
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Streams:
    """The streams of a media file.

    Attributes:
        has_audio: whether audio can be decoded.
        has_video: whether images can be decoded.
        duration: seconds of audio; of video if there is no audio, or if it is longer by more than
            `TOLERANCE`; at most `CLIP_DURATION`. Rounded to 1 ms, as in clips.csv.
        warning: why a stream in the container cannot be decoded, or other problems of the file
            such as damage or an early end; else empty.
    """

    has_audio: bool
    has_video: bool
    duration: float
    warning: str


def probe(path: Path) -> Streams:
    """Decode a media file to find its streams and their durations.

    Raises:
        DecodeError: if no stream can be decoded.
    """
    return probe_and_decode(path, sample_rates=[], each_image=lambda image: None)[0]


def probe_and_decode(
    path: Path, *, sample_rates: Sequence[int], each_image: Callable[[Image], T]
) -> tuple[Streams, Media[T]]:
    """Probe a media file, and return its first 10 s, decoded in the same pass.

    Args:
        path: a media file.
        sample_rates: Hz.
        each_image: converts each image that differs from the one before it.

    Returns:
        Its streams, and what `read_media` returns; streams that it does not have are missing.

    Raises:
        DecodeError: if no stream can be decoded.
    """
    header = read_header(path)
    if not header.audio and not header.video:  # only subtitles, data or unknown codecs
        raise DecodeError("has neither audio nor video")
    media = read_media(
        path,
        sample_rates=sorted({PROBE_SAMPLE_RATE, *sample_rates}) if header.audio else [],
        each_image=each_image if header.video else None,
        header=header,
    )
    return _describe(path, header, media), media


def _describe(path: Path, header: Header, media: Media[T]) -> Streams:
    audio = len(media.waveforms.get(PROBE_SAMPLE_RATE, ())) / PROBE_SAMPLE_RATE
    video = len(media.image_index) / float(IMAGE_RATE)
    warnings = list(media.errors.values())
    if media.warning:
        warnings.append(f"damaged: {media.warning}")
    elif video and not audio:
        # The last image is held until the end, which is only in the header.
        video = max(video, min(header.duration, CLIP_DURATION))
    if not audio and not video:
        raise DecodeError("; ".join(warnings))
    lasts = min(header.duration, CLIP_DURATION)
    is_still = len(media.images) == 1  # its only image stands for the whole sound
    for what, seconds in (("its audio ends", audio), ("its video ends", 0 if is_still else video)):
        if seconds and lasts > seconds + TOLERANCE:
            warnings.append(f"{what} at {seconds:.1f} s of {header.duration:.1f} s")
    warnings += _unused_content(path, header)
    if _is_cut_wav(path):
        warnings.append("is shorter than its header says")
    duration = video if video > audio + TOLERANCE else audio or video
    return Streams(
        has_audio=audio > 0,
        has_video=video > 0,
        duration=max(round(min(duration, CLIP_DURATION), 3), 0.001),
        warning="; ".join(warnings),
    )


def _unused_content(path: Path, header: Header) -> list[str]:
    """Describe streams that are not preferred but have sound or images in the first 10 s."""
    described = []
    for other in alternatives(header, "audio"):
        media: Media[None] = read_media(path, sample_rates=[PROBE_SAMPLE_RATE], header=other)
        if any(np.abs(waveform).max() > SILENCE for waveform in media.waveforms.values()):
            described.append(
                f"audio stream {header.audio[0].index} is used; "
                f"stream {other.audio[0].index} has sound too"
            )
    for other in alternatives(header, "video"):
        if read_media(path, each_image=lambda image: None, header=other).images:
            described.append(
                f"video stream {header.video[0].index} is used; "
                f"stream {other.video[0].index} has images too"
            )
    return described


def _is_cut_wav(path: Path) -> bool:
    """Return whether a WAV file is truncated, which ffmpeg does not report."""
    with path.open("rb") as file:
        form, size = file.read(4), int.from_bytes(file.read(4), "little")
    # Programs that write to a pipe use a number of that size.
    return form == b"RIFF" and path.stat().st_size < 8 + size < 2**31 - 2**16


def inspect_clip(clip_id: str, path: Path) -> ClipRecord:
    """Decode the media file of a clip and record its streams.

    Digital silence that lasts until the end is a warning: it counts as sound, so that a class whose
    clips end with it is learned from the silence.
    """
    try:
        streams, media = probe_and_decode(path, sample_rates=[], each_image=lambda image: None)
    except DecodeError as error:
        return failed_clip(clip_id, str(error))
    silence = _describe_silence(media.waveforms.get(PROBE_SAMPLE_RATE))
    return ClipRecord(
        clip_id=clip_id,
        file=path.name,
        status="ok",
        reason="; ".join(filter(None, [streams.warning, silence])),
        has_audio=streams.has_audio,
        has_video=streams.has_video,
        duration=streams.duration,
        sha256=file_sha256(path),
    )


def _describe_silence(samples: NDArray[np.float32] | None) -> str:
    """Describe silence that lasts until the end of a clip's audio; empty if there is none."""
    if samples is None:
        return ""
    loud = np.flatnonzero(np.abs(samples) > SILENCE)
    if not loud.size:
        return "its audio is silent"
    seconds = (len(samples) - 1 - loud[-1]) / PROBE_SAMPLE_RATE
    return f"the last {seconds:.1f} s of its audio are silent" if seconds >= SILENT_END else ""
