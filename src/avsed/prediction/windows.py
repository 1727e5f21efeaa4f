"""Decode media of any length, a window of 10 s at a time (Section 4.2).

Windows lie on one grid of frames, and each is what `read_media` gives of a clip: the same filters
of ffmpeg, run once over the whole file. A window is decoded when it is asked for, so that an hour
takes no more memory than a minute.
"""

import itertools
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.ffmpeg import (
    TIME_LIMIT,
    DecodeError,
    drain,
    first_error,
    raise_if_machine_failed,
    start_ffmpeg,
)
from avsed.dataset.media import (
    TOLERANCE,
    Image,
    Media,
    Stream,
    audio_output,
    image_output,
    media_input,
)
from avsed.framing import CLIP_DURATION, FRAME_HOP, N_FRAMES, frame_onset, n_samples

WINDOW_HOP = 101  # frames, 6.7 s: two windows share a third
LONGEST = 24 * 3600.0  # seconds; damaged time stamps can tell of years
AHEAD = 2  # frames read past a window; codecs pad a file's end by less, which is worth no window

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Window(Generic[T]):
    """A part of a file.

    Attributes:
        first_frame: its first frame, of those of the file.
        duration: seconds of the file in it, at most `CLIP_DURATION`.
        media: what was decoded. Audio that ended before the window has no samples in it; of
            pictures, the last one stays. The last window's complaint says what is wrong with
            the file.
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
        sample_rates: Hz; none to leave the audio alone.
        each_image: called with each picture, (height, width, 3) RGB, that differs from the one
            before it; None to leave the pictures alone.

    Yields:
        At least one window. Each but the first adds frames to those before it.

    Raises:
        AvsedError: if ffmpeg was killed.
        DecodeError: if a stream cannot be decoded, or lasts more than `LONGEST`.
    """
    with ExitStack() as stack:
        audio = [stack.enter_context(_Samples(path, rate)) for rate in sample_rates]
        pictures = stack.enter_context(_Pictures(path, each_image)) if each_image else None
        decoders: list[_Decoder] = [*audio, *([pictures] if pictures else [])]
        for first_frame in itertools.count(0, WINDOW_HOP):
            if frame_onset(first_frame) > LONGEST:
                raise DecodeError(
                    f"by its time stamps, it lasts more than {LONGEST / 3600:.0f} hours"
                )
            waveforms = {samples.sample_rate: samples.read(first_frame) for samples in audio}
            images, index = pictures.read(first_frame) if pictures else ([], np.empty(0, np.intp))
            is_last = all(decoder.ended for decoder in decoders)
            yield Window(
                first_frame=first_frame,
                duration=_duration(first_frame, waveforms, pictures),
                media=Media(
                    waveforms=waveforms,
                    images=images,
                    image_index=index,
                    warning=_complain(decoders) if is_last else "",
                ),
            )
            if is_last:
                return


def _duration(
    first_frame: int,
    waveforms: dict[int, NDArray[np.float32]],
    pictures: "_Pictures[Any] | None",
) -> float:
    """Tell how many seconds of a file are in a window, as `probe` does of a clip."""
    sound = max((len(samples) / rate for rate, samples in waveforms.items()), default=0.0)
    seen = (pictures.n_frames - first_frame) * FRAME_HOP if pictures else 0.0
    return min(seen if seen > sound + TOLERANCE else sound or seen, CLIP_DURATION)


def _complain(decoders: Sequence["_Decoder"]) -> str:
    """Say what is wrong with a file that was decoded to its end; else give an empty string."""
    complaints = [f"damaged: {decoder.warning}" for decoder in decoders if decoder.warning]
    lasts = max(decoder.length for decoder in decoders)
    early = {
        f"its {decoder.stream} ends at {decoder.length:.1f} s of {lasts:.1f} s"
        for decoder in decoders
        if decoder.length + TOLERANCE < lasts
    }
    return "; ".join([*complaints[:1], *sorted(early)])


class _Decoder:
    """One run of ffmpeg over a stream of a whole file, which waits while nobody reads."""

    def __init__(self, stream: Stream, output: Any) -> None:
        self.stream = stream
        self.ended = False
        self.warning = ""
        self._hangs = False
        command = output.global_args("-hide_banner", "-loglevel", "error")
        self._process = start_ffmpeg(
            command.get_args(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._said_at_end = drain(cast(IO[bytes], self._process.stderr))
        self.stdout = cast(IO[bytes], self._process.stdout)

    @property
    def length(self) -> float:
        """Seconds of the stream, as far as it was read."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self.stdout.close()
        self._process.wait()
        self._said_at_end()
        cast(IO[bytes], self._process.stderr).close()

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Kill ffmpeg if the block takes too long: its threads block each other now and then."""
        timer = threading.Timer(TIME_LIMIT, self._kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def end(self) -> None:
        """Take leave of ffmpeg at the stream's end.

        Raises:
            AvsedError: if it was killed.
            DecodeError: if it failed otherwise, hung, or found nothing.
        """
        self.ended = True
        returncode = self._process.wait()
        said = self._said_at_end()
        if self._hangs:
            raise DecodeError(f"{self.stream}: ffmpeg hangs after {self.length:.1f} s")
        if returncode:
            error = subprocess.CalledProcessError(returncode, self._process.args, stderr=said)
            raise_if_machine_failed(error, None)
            raise DecodeError(f"{self.stream}: {first_error(said.decode('utf-8', 'replace'))}")
        if not self.length:
            raise DecodeError(f"{self.stream}: nothing can be decoded")
        if said.strip():
            self.warning = first_error(said.decode("utf-8", "replace"))

    def _kill(self) -> None:
        self._hangs = True
        self._process.kill()


class _Samples(_Decoder):
    """The samples of a file at one rate."""

    def __init__(self, path: Path, sample_rate: int) -> None:
        super().__init__("audio", audio_output(media_input(path), sample_rate, Path("pipe:")))
        self.sample_rate = sample_rate
        self._first = 0  # of the samples that are kept
        self._kept = np.empty(0, np.float32)
        self._n_samples = 0

    @property
    def length(self) -> float:
        return self._n_samples / self.sample_rate

    def read(self, first_frame: int) -> NDArray[np.float32]:
        """Read a window's samples, at most 10 s; windows must be asked for in their order."""
        first = n_samples(frame_onset(first_frame), self.sample_rate)
        self._kept = self._kept[first - self._first :]
        self._first = first
        n_wanted = n_samples(CLIP_DURATION, self.sample_rate)
        n_lacking = n_wanted + n_samples(AHEAD * FRAME_HOP, self.sample_rate) - len(self._kept)
        if not self.ended:
            with self.limited():
                new = np.frombuffer(self.stdout.read(4 * n_lacking), "<f4").astype(np.float32)
            self._kept = np.concatenate([self._kept, new])
            self._n_samples += len(new)
            if len(new) < n_lacking:
                self.end()
            if not np.isfinite(new).all():
                raise DecodeError("audio: holds samples that are no finite numbers")
        return self._kept[:n_wanted]


class _Pictures(_Decoder, Generic[T]):
    """The picture of each frame of a file."""

    def __init__(self, path: Path, each_image: Callable[[Image], T]) -> None:
        super().__init__("video", image_output(media_input(path)))
        self.n_frames = 0  # that were read
        self._each_image = each_image
        self._previous = b""
        self._images: list[T] = []  # that are kept
        self._index: list[int] = []  # of the frames that are kept, as indices of `_images`

    @property
    def length(self) -> float:
        return self.n_frames * FRAME_HOP

    def read(self, first_frame: int) -> tuple[list[T], NDArray[np.intp]]:
        """Read a window's pictures, as `Media` has them; windows must be asked for in order."""
        self._drop_before(first_frame)
        with self.limited():
            while not self.ended and self.n_frames < first_frame + N_FRAMES + AHEAD:
                self._read_one()
        index = np.array(self._index[:N_FRAMES], dtype=np.intp)
        return self._images[: index[-1] + 1], index

    def _drop_before(self, first_frame: int) -> None:
        n_left = max(self.n_frames - first_frame, 1)  # the last picture stays after its stream
        index = self._index[-n_left:]
        first = index[0] if index else 0
        self._images = self._images[first:]
        self._index = [number - first for number in index]

    def _read_one(self) -> None:
        """Read one picture in PPM."""
        self.stdout.readline()  # P6
        width, height = (int(number) for number in self.stdout.readline().split() or (0, 0))
        self.stdout.readline()  # the largest value, 255
        pixels = self.stdout.read(width * height * 3)
        if not pixels or len(pixels) < width * height * 3:
            self.end()
            return
        # A still scene repeats pictures to the bit.
        if pixels != self._previous:
            array = np.frombuffer(bytearray(pixels), dtype=np.uint8).reshape(height, width, 3)
            self._images.append(self._each_image(array))
            self._previous = pixels
        self._index.append(len(self._images) - 1)
        self.n_frames += 1
