"""Cut one media file into clips: audio without loss, video encoded again.

All audio is decoded once, from the start, because seeking is inexact in formats without an index.
So a clip has exactly the samples that avsed reads at its time in the recording.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray

from avsed.dataset.ffmpeg import DecodeError, Ffmpeg, file_url, first_error, run_ffmpeg
from avsed.dataset.header import Header, read_header
from avsed.dataset.inspection import inspect_clip
from avsed.dataset.media import CHANGE, TIMING, TOLERANCE, media_input, uniform_audio, uniform_input
from avsed.framing import CLIP_DURATION
from avsed.labels.windows import Window, plan_windows
from avsed.runtime.files import work_folder

IMAGE_RATE = 30  # per second, of the clips' video
_ENCODING_LIMIT = 600.0  # seconds for the video of one clip
_MAX_FLAC_CHANNELS = 8
_MAX_FLAC_RATE = 655_350  # Hz
_AU_HEADER = 24  # bytes
_VIDEO = {"vcodec": "libx264", "preset": "veryfast", "crf": 18, "pix_fmt": "yuv420p"}

Samples = NDArray[np.int32]  # (n_samples, n_channels)


def cut_media(
    path: Path,
    recording: str,
    out_dir: Path,
    *,
    shortest: float,
    keeps_video: bool,
    on_clip: Callable[[], None],
) -> tuple[float, str]:
    """Cut a media file into clips of 10 s; clips that exist and are newer than it are kept.

    Args:
        path: the media file.
        recording: its name in the lists.
        out_dir: gets .flac, or .mkv with H.264 and FLAC if there is video; .wav for audio that
            FLAC cannot contain.
        shortest: seconds; see `plan_windows`.
        keeps_video: whether clips have the video.
        on_clip: called after each clip.

    Returns:
        The seconds of the recording, which are those of its audio if it has any, and a warning if
        it ends earlier than its header states; else empty.

    Raises:
        AvsedError: if ffmpeg was killed, or the name is too long.
        OSError: if the disk is full.
        DecodeError: if the file cannot be decoded, or a clip of it cannot be read.
    """
    header = read_header(path)
    has_video = bool(header.video) and keeps_video
    if not header.audio:
        if not has_video:
            raise DecodeError("has no audio")
        if not header.duration:
            raise DecodeError("has no audio, and its container states no duration")
    cut = _Cut(path, header if has_video else None, recording, out_dir, on_clip)
    if not header.audio:
        for window in plan_windows(header.duration, shortest):
            cut.write(window, None, 0)
        return header.duration, ""
    try:
        duration = cut.write_all(_decode(path, header, is_uniform=False), shortest)
    except DecodeError as error:
        if CHANGE not in str(error):
            raise
        duration = cut.write_all(_decode(path, header, is_uniform=True), shortest)
    if header.duration > duration + TOLERANCE:
        return duration, f"its audio ends at {duration:.1f} s of {header.duration:.1f} s"
    return duration, ""


class _Cut:
    """The clips of one recording."""

    def __init__(
        self,
        path: Path,
        video: Header | None,
        recording: str,
        out_dir: Path,
        on_clip: Callable[[], None],
    ) -> None:
        self._path = path
        self._video = video
        self._recording = recording
        self._out_dir = out_dir
        self._on_clip = on_clip

    def write_all(self, decoded: Iterator[tuple[Samples, int]], shortest: float) -> float:
        """Write the clips of decoded audio, in blocks of 10 s; return its duration."""
        duration = 0.0
        for number, (samples, rate) in enumerate(decoded):
            duration = number * CLIP_DURATION + len(samples) / rate
            window = plan_windows(duration, shortest)[-1]
            if window.onset == number * CLIP_DURATION:  # else the rest is too short
                self.write(window, samples, rate)
        if not duration:
            raise DecodeError("no samples can be decoded")
        return duration

    def write(self, window: Window, samples: Samples | None, rate: int) -> None:
        """Write a clip, unless there is a newer one than its recording."""
        clip_id = window.clip_id(self._recording)
        known = list(self._out_dir.glob(f"{clip_id}.*"))
        if not any(path.stat().st_mtime_ns > self._path.stat().st_mtime_ns for path in known):
            with work_folder(self._out_dir) as folder:
                made = self._make(window, samples, rate, folder / clip_id)
                record = inspect_clip(clip_id, made)
                if record.status != "ok":
                    raise DecodeError(f"its clip {clip_id} cannot be decoded ({record.reason})")
                for path in known:
                    path.unlink()
                made.replace(self._out_dir / made.name)
        self._on_clip()

    def _make(self, window: Window, samples: Samples | None, rate: int, stem: Path) -> Path:
        """Write a clip with video if there is any in the window, else with audio alone."""
        audio = None if samples is None else _write_audio(stem, samples, rate)
        if self._video:
            film = stem.with_name(f"{stem.name}.mkv")
            self._encode(self._video, window, audio, film)
            if inspect_clip(stem.name, film).has_video:
                return film
        if audio is None:
            raise DecodeError(f"its video has no image from {window.onset:g} s on")
        return audio

    def _encode(self, header: Header, window: Window, audio: Path | None, film: Path) -> None:
        duration = window.offset - window.onset
        # Decoding starts at the key image before the clip: the last image before it is held, also
        # of slides. An inexact seek gives it a negative time, an exact one would drop it.
        options = {"ss": window.onset, "noaccurate_seek": None}
        source = media_input(self._path, header, **options)  # type: ignore[arg-type]
        even = source.video.filter("scale", "trunc(iw/2)*2", "trunc(ih/2)*2")  # for H.264
        video = even.filter("fps", IMAGE_RATE, start_time=0)
        streams = [video, *([ffmpeg.input(file_url(audio)).audio] if audio else [])]
        copied = {"acodec": "copy"} if audio else {}
        output = ffmpeg.output(*streams, file_url(film), t=duration, **_VIDEO, **copied)
        command = output.global_args("-loglevel", "error").overwrite_output()
        try:
            run_ffmpeg(command.get_args(), out_dir=film.parent, time_limit=_ENCODING_LIMIT)
        except subprocess.CalledProcessError as error:
            reason = first_error(error.stderr.decode("utf-8", "replace"))
            raise DecodeError(f"video at {window.onset:g} s: {reason}") from None
        except subprocess.TimeoutExpired:
            raise DecodeError(f"video at {window.onset:g} s: ffmpeg hangs") from None


def _decode(path: Path, header: Header, *, is_uniform: bool) -> Iterator[tuple[Samples, int]]:
    """Yield the samples of 10 s each, with their rate.

    Args:
        path: a media file with audio.
        header: of the file.
        is_uniform: whether to mix the channels, for audio whose format changes half way.
    """
    source = uniform_input(header) if is_uniform else media_input(path, header)
    audio = source.audio.filter("aresample", header.audio[0].sample_rate, **TIMING, first_pts=0)
    # AU states the number of channels before the samples, and has no size to fill in later.
    output = audio.output("pipe:", format="au", acodec="pcm_s32be")
    arguments = output.global_args("-hide_banner", "-loglevel", "error").get_args()
    feed = uniform_audio(path, header) if is_uniform else None
    with Ffmpeg(arguments, feed=feed) as process:
        rate, n_channels = _read_au_header(process)
        n_bytes = int(CLIP_DURATION * rate) * n_channels * 4
        is_last = False
        while not is_last:
            with process.time_limit():
                content = process.stdout.read(n_bytes)
            is_last = len(content) < n_bytes
            if is_last:  # check it before the rest is written as the end of the recording
                process.wait()
                if process.is_hung:
                    raise DecodeError("ffmpeg hangs")
                process.finish(None, header.unused_names)
            samples = np.frombuffer(content, ">i4").astype(np.int32).reshape(-1, n_channels)
            if len(samples):
                yield samples, rate


def _read_au_header(process: Ffmpeg) -> tuple[int, int]:
    """Read the rate in Hz and the number of channels; those of an empty output mean nothing."""
    with process.time_limit():
        fields = np.frombuffer(process.stdout.read(_AU_HEADER).ljust(_AU_HEADER, b"\0"), ">u4")
        process.stdout.read(max(int(fields[1]) - _AU_HEADER, 0))
    return max(int(fields[4]), 1), max(int(fields[5]), 1)


def _write_audio(stem: Path, samples: Samples, rate: int) -> Path:
    """Write 24-bit FLAC, or WAV if FLAC cannot have so many channels or so high a rate."""
    is_flac = samples.shape[1] <= _MAX_FLAC_CHANNELS and rate <= _MAX_FLAC_RATE
    path = stem.with_name(f"{stem.name}{'.flac' if is_flac else '.wav'}")
    soundfile.write(path, samples, rate, subtype="PCM_24", format="FLAC" if is_flac else "WAV")
    return path
