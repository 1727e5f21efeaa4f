"""Decode media of any length, a window of 10 s at a time (Section 4.2).

All windows lie on one grid of frames. A window has the samples and images that `read_media` decodes
of a clip, by the same filters of ffmpeg, which run once over the whole file. A window is decoded
when it is requested, so an hour takes no more memory than a minute.
"""

import itertools
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.ffmpeg import DecodeError, Ffmpeg
from avsed.dataset.header import Header
from avsed.dataset.media import (
    CHANGE,
    TOLERANCE,
    Image,
    Media,
    Stream,
    audio_output,
    header_of,
    image_output,
    media_input,
    read_images,
    uniform_audio,
    uniform_input,
)
from avsed.framing import CLIP_DURATION, FRAME_HOP, N_FRAMES, frame_onset, n_samples

WINDOW_HOP = 101  # frames, 6.7 s: windows overlap by a third
LONGEST = 24 * 3600.0  # seconds; damaged time stamps can claim years
AHEAD = 2  # frames read past a window: codec padding at the end is shorter and needs no window

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Window(Generic[T]):
    """A part of a file.

    Attributes:
        first_frame: index of its first frame in the file.
        duration: seconds of the file in it, at most `CLIP_DURATION`.
        media: the decoded streams. Audio that ended before the window has no samples; the last
            image is held. The last window has the warning about the file.
    """

    first_frame: int
    duration: float
    media: Media[T]


def read_windows(
    path: Path,
    *,
    sample_rates: Sequence[int] = (),
    each_image: Callable[[Image], T] | None = None,
) -> Generator[Window[T]]:
    """Decode a media file window by window, one every `WINDOW_HOP` frames.

    Args:
        path: a media file.
        sample_rates: Hz; empty to skip audio.
        each_image: called with each image, (height, width, 3) RGB, that differs from the one
            before it; None to skip images.

    Yields:
        At least one window. Each one adds frames to those before it.

    Raises:
        AvsedError: if ffmpeg was killed.
        DecodeError: if a stream cannot be decoded, or is longer than `LONGEST`.
    """
    header = header_of(path)
    with ExitStack() as stack:
        audio = [stack.enter_context(_Samples(path, header, rate)) for rate in sample_rates]
        video = stack.enter_context(_Images(path, header, each_image)) if each_image else None
        decoders: list[_Decoder] = [*audio, *([video] if video else [])]
        for first_frame in itertools.count(0, WINDOW_HOP):
            if frame_onset(first_frame) > LONGEST:
                raise DecodeError(
                    f"by its time stamps, it lasts more than {LONGEST / 3600:.0f} hours"
                )
            waveforms = {samples.sample_rate: samples.read(first_frame) for samples in audio}
            images, index = video.read(first_frame) if video else ([], np.empty(0, np.intp))
            is_last = all(decoder.ended for decoder in decoders)
            yield Window(
                first_frame=first_frame,
                duration=_duration(first_frame, waveforms, video),
                media=Media(
                    waveforms=waveforms,
                    images=images,
                    image_index=index,
                    warning=_warning(decoders) if is_last else "",
                ),
            )
            if is_last:
                return


def _duration(
    first_frame: int,
    waveforms: dict[int, NDArray[np.float32]],
    video: "_Images[Any] | None",
) -> float:
    """Return the seconds of media in a window, as `probe` does for a clip."""
    sound = max((len(samples) / rate for rate, samples in waveforms.items()), default=0.0)
    seen = (video.n_frames - first_frame) * FRAME_HOP if video else 0.0
    return min(seen if seen > sound + TOLERANCE else sound or seen, CLIP_DURATION)


def _warning(decoders: Sequence["_Decoder"]) -> str:
    """Return what is wrong with a file after decoding it; empty if nothing is."""
    damage = [f"damaged: {decoder.warning}" for decoder in decoders if decoder.warning]
    lasts = max(decoder.length for decoder in decoders)
    early = {
        f"its {decoder.stream} ends at {decoder.length:.1f} s of {lasts:.1f} s"
        for decoder in decoders
        if decoder.length + TOLERANCE < lasts and not decoder.is_still
    }
    return "; ".join([*damage[:1], *sorted(early)])


class _Decoder:
    """An ffmpeg that decodes one stream of a whole file, and waits while nobody reads."""

    is_still = False  # whether one image stands for the whole stream

    def __init__(self, stream: Stream, header: Header, output: Any) -> None:
        self.stream = stream
        self.header = header
        self.ended = False
        self.warning = ""
        self.ffmpeg = Ffmpeg(_arguments(output))

    @property
    def length(self) -> float:
        """Seconds of the stream that were read so far."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ffmpeg.__exit__()

    def end(self) -> None:
        """Check how ffmpeg ended, at the end of the stream.

        Raises:
            AvsedError: if it was killed.
            DecodeError: if it failed for another reason, hung, or found nothing.
        """
        self.ended = True
        self.ffmpeg.wait()
        if self.ffmpeg.is_hung:
            raise DecodeError(f"{self.stream}: ffmpeg hangs after {self.length:.1f} s")
        try:
            warning = self.ffmpeg.finish(None, self.header.unused_names)
        except DecodeError as error:
            raise DecodeError(f"{self.stream}: {error}") from None
        if not self.length:
            raise DecodeError(f"{self.stream}: nothing can be decoded")
        self.warning = warning


def _arguments(output: Any) -> list[str]:
    arguments: list[str] = output.global_args("-hide_banner", "-loglevel", "error").get_args()
    return arguments


class _Samples(_Decoder):
    """The samples of a file at one rate."""

    def __init__(self, path: Path, header: Header, sample_rate: int) -> None:
        source = media_input(path, header, alone="audio")
        super().__init__("audio", header, audio_output(source, sample_rate, Path("pipe:")))
        self.path = path
        self.is_uniform = False
        self.sample_rate = sample_rate
        self._first = 0  # index of the first kept sample
        self._kept = np.empty(0, np.float32)
        self._n_samples = 0

    @property
    def length(self) -> float:
        return self._n_samples / self.sample_rate

    def read(self, first_frame: int) -> NDArray[np.float32]:
        """Read the samples of a window, at most 10 s; windows must be read in order."""
        first = n_samples(frame_onset(first_frame), self.sample_rate)
        self._kept = self._kept[first - self._first :]
        self._first = first
        n_wanted = n_samples(CLIP_DURATION, self.sample_rate)
        n_lacking = n_wanted + n_samples(AHEAD * FRAME_HOP, self.sample_rate) - len(self._kept)
        while n_lacking > 0 and not self.ended:
            with self.ffmpeg.time_limit():
                content = self.ffmpeg.stdout.read(4 * n_lacking)
            new = np.frombuffer(content, "<f4").astype(np.float32)
            if not np.isfinite(new).all():
                raise DecodeError("audio: contains NaN or infinite samples")
            self._kept = np.concatenate([self._kept, new])
            self._n_samples += len(new)
            n_lacking -= len(new)
            if n_lacking:
                self.end()
        return self._kept[:n_wanted]

    def end(self) -> None:
        """Check how ffmpeg ended; go on in two steps if it stopped at a change of the format."""
        try:
            super().end()
        except DecodeError as error:
            if CHANGE not in str(error) or self.is_uniform or not self.header.audio:
                raise
            self.is_uniform, self.ended = True, False
            self.ffmpeg.__exit__()
            output = audio_output(uniform_input(self.header), self.sample_rate, Path("pipe:"))
            feed = uniform_audio(self.path, self.header)
            self.ffmpeg = Ffmpeg(_arguments(output), feed=feed)
            self._skip(self._n_samples)

    def _skip(self, n_left: int) -> None:
        while n_left:
            with self.ffmpeg.time_limit():
                n_read = len(self.ffmpeg.stdout.read(4 * min(n_left, 2**20))) // 4
            if not n_read:
                return
            n_left -= n_read


class _Images(_Decoder, Generic[T]):
    """The image of each frame of a file."""

    def __init__(self, path: Path, header: Header, each_image: Callable[[Image], T]) -> None:
        super().__init__("video", header, image_output(media_input(path, header, alone="video")))
        self.is_still = True
        self.n_frames = 0  # read so far
        self._each_image = each_image
        self._stream = read_images(self.ffmpeg.stdout)
        self._images: list[T] = []  # of the frames that are kept
        self._index: list[int] = []  # frame to image

    @property
    def length(self) -> float:
        return self.n_frames * FRAME_HOP

    def read(self, first_frame: int) -> tuple[list[T], NDArray[np.intp]]:
        """Read the images of a window, as in `Media`; windows must be read in order."""
        self._drop_before(first_frame)
        with self.ffmpeg.time_limit():
            while not self.ended and self.n_frames < first_frame + N_FRAMES + AHEAD:
                self._read_one()
        index = np.array(self._index[:N_FRAMES], dtype=np.intp)
        return self._images[: index[-1] + 1], index

    def _drop_before(self, first_frame: int) -> None:
        n_left = max(self.n_frames - first_frame, 1)  # the last image is held after the end
        index = self._index[-n_left:]
        first = index[0] if index else 0
        self._images = self._images[first:]
        self._index = [number - first for number in index]

    def _read_one(self) -> None:
        """Read the image of one frame."""
        try:
            image = next(self._stream)
        except StopIteration:
            self.end()
            return
        if image is not None:
            self.is_still = self.n_frames == 0
            self._images.append(self._each_image(image))
        self._index.append(len(self._images) - 1)
        self.n_frames += 1
