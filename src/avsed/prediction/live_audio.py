"""Live sound from a microphone, a pipe or a stream, in windows of 10 s."""

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Self, cast

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from avsed.dataset.ffmpeg import MAX_STDERR, ffmpeg_path, first_error
from avsed.dataset.media import TIMING, Media, Source, audio_output
from avsed.errors import AvsedError
from avsed.framing import CLIP_DURATION, FRAME_HOP, frame_onset, n_samples
from avsed.prediction.windows import AHEAD, WINDOW_HOP

STDIN = "pipe:0"
READ_SIZE = 2**16  # bytes at most; a read returns what there is
MAX_AHEAD = 60.0  # seconds that wait to be scored, of a source that is faster than scoring


@dataclass(frozen=True, kw_only=True)
class LiveSource:
    """What ffmpeg listens to.

    Attributes:
        url: a URL, a file, the name of a device, or `STDIN`.
        form: ffmpeg's name of the format or of the kind of device; None to let ffmpeg find out.
    """

    url: str
    form: str | None = None


def choose_source(name: str, device: str | None) -> LiveSource:
    """Return the source that a command names.

    Args:
        name: `-` for standard input, a URL, a file or the name of a device; `default` without a
            kind of device is the microphone.
        device: ffmpeg's kind of device; None for none.
    """
    if name == "-":
        return LiveSource(url=STDIN)
    if device or name != "default":
        return LiveSource(url=name, form=device)
    if sys.platform == "darwin":
        return LiveSource(url=":default", form="avfoundation")
    return LiveSource(url="default", form="pulse")


class LiveAudio:
    """An ffmpeg that resamples a source to several rates; use it as a context manager."""

    def __init__(self, source: LiveSource, sample_rates: Sequence[int]) -> None:
        """Prepare to listen.

        Args:
            source: read until it ends.
            sample_rates: Hz.
        """
        self._source = source
        self._streams = {rate: _Stream(rate) for rate in sample_rates}
        self._arrived = threading.Condition()
        self._is_closed = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        pipes = {rate: os.pipe() for rate in self._streams}
        written = {rate: end for rate, (_, end) in pipes.items()}
        self._process = subprocess.Popen(
            [ffmpeg_path(), *_arguments(self._source, written)],
            stdin=None if self._source.url == STDIN else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=list(written.values()),
        )
        self._log: list[bytes] = []
        self._start(self._read_log)
        for rate, (end_to_read, end_to_write) in pipes.items():
            os.close(end_to_write)
            self._start(self._receive, self._streams[rate], os.fdopen(end_to_read, "rb", 0))
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with self._arrived:
            self._is_closed = True
            self._arrived.notify_all()
        self._stack.close()
        self._process.wait()

    def _start(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        self._stack.callback(thread.join)

    def _read_log(self) -> None:
        with cast(IO[bytes], self._process.stderr) as log:
            self._log.append(log.read(MAX_STDERR))
            while log.read(MAX_STDERR):
                pass

    def _receive(self, stream: "_Stream", pipe: IO[bytes]) -> None:
        with pipe:
            while content := pipe.read(READ_SIZE):
                with self._arrived:
                    self._arrived.wait_for(lambda: stream.has_room or self._is_closed)
                    stream.add(content)
                    self._arrived.notify_all()
        with self._arrived:
            stream.ended = True
            self._arrived.notify_all()

    def read_windows(self) -> Iterator[tuple[int, Media[Any]]]:
        """Yield the first frame and the sound of each window, as soon as it has arrived.

        Raises:
            AvsedError: if the source cannot be read, or has no sound.
        """
        for first_frame in itertools.count(0, WINDOW_HOP):
            with self._arrived:
                for stream in self._streams.values():
                    stream.drop_before(first_frame)
                self._arrived.notify_all()
                self._arrived.wait_for(
                    lambda: all(each.ended or each.is_full for each in self._streams.values())
                )
                waveforms = {rate: each.window() for rate, each in self._streams.items()}
                is_last = not all(each.is_full for each in self._streams.values())
            if not first_frame and not all(map(len, waveforms.values())):
                self._process.wait()
                raise AvsedError(f"{self._name}: cannot be read ({self._reason()})")
            yield first_frame, Media(waveforms=waveforms)
            if is_last:
                return

    def require_whole(self) -> None:
        """Check how the source ended, after its last window.

        Raises:
            AvsedError: if it broke off.
        """
        if self._process.wait():
            raise AvsedError(f"{self._name}: broke off ({self._reason()})")

    @property
    def _name(self) -> str:
        return "standard input" if self._source.url == STDIN else self._source.url

    def _reason(self) -> str:
        self._stack.close()  # waits for the log
        return first_error(b"".join(self._log).decode("utf-8", "replace"))


class _Stream:
    """The samples at one rate that have arrived and belong to this window or later ones."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.ended = False
        self._n_dropped = 0
        self._kept = np.empty(0, np.float32)
        self._rest = b""  # of a sample

    def add(self, content: bytes) -> None:
        content = self._rest + content
        n_whole = len(content) // 4 * 4
        self._rest = content[n_whole:]
        new = np.frombuffer(content[:n_whole], "<f4").astype(np.float32)
        self._kept = np.concatenate([self._kept, new])

    def drop_before(self, first_frame: int) -> None:
        first = n_samples(frame_onset(first_frame), self.sample_rate)
        self._kept = self._kept[first - self._n_dropped :]
        self._n_dropped = first

    @property
    def is_full(self) -> bool:
        """Whether a window has arrived, and a little more, as `read_windows` requires of files."""
        ahead = n_samples(AHEAD * FRAME_HOP, self.sample_rate)
        return len(self._kept) >= n_samples(CLIP_DURATION, self.sample_rate) + ahead

    @property
    def has_room(self) -> bool:
        """Whether more may arrive before the next window is scored."""
        return len(self._kept) < (CLIP_DURATION + MAX_AHEAD) * self.sample_rate

    def window(self) -> NDArray[np.float32]:
        return self._kept[: n_samples(CLIP_DURATION, self.sample_rate)]


def _arguments(source: LiveSource, pipes: dict[int, int]) -> list[str]:
    options = {"format": source.form} if source.form else {}
    live = ffmpeg.input(source.url, **options)
    audio = live["a"].filter_multi_output("asplit", len(pipes))
    # The number of channels is not known yet: their mean is taken of any.
    sound = Source(audio=audio, video=None, layout="", timing=TIMING)
    outputs = [
        audio_output(replace(sound, audio=audio[number]), rate, Path(f"pipe:{end}"))
        for number, (rate, end) in enumerate(pipes.items())
    ]
    command = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    command = command.global_args("-hide_banner", "-loglevel", "error")
    arguments: list[str] = command.get_args()
    return arguments
