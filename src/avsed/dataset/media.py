"""Decode the audio and images of any container with ffmpeg (Section 4.2)."""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Generic, Literal, TypeVar

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from avsed.dataset.ffmpeg import DecodeError, file_url, stream_ffmpeg
from avsed.dataset.header import MAX_PIXELS, Header, read_header
from avsed.dataset.wav import pcm_decoder
from avsed.framing import CLIP_DURATION, IMAGE_RATE, N_FRAMES, n_samples
from avsed.runtime.files import work_folder

TOLERANCE = 1.0  # seconds by which streams may be shorter than the header claims
MAX_CHANNELS = 64  # that ffmpeg can mix (libavfilter/af_pan.c)
# The mean of all channels: `<` divides by the number of those that there are.
MEAN = f"mono|c0<{'+'.join(f'c{channel}' for channel in range(MAX_CHANNELS))}"
# Options of `aresample` that keep audio within 10 ms of its time stamps. Larger gaps are filled,
# and larger overlaps cut, at once (`min_hard_comp`, seconds; ffmpeg's default is 100 ms). Drift is
# undone beyond 2 ms (`min_comp`; time stamps of ordinary files are rounded to 1 ms at most) by up
# to 1,000 samples per second (`async`). See swr_next_pts in libswresample/swresample.c, ffmpeg 9.0.
TIMING = {"async": 1000, "min_comp": 0.002, "min_hard_comp": 0.01}
# ffmpeg's time stamps of Vorbis in Ogg, and of what it copies from there, jump ahead and back where
# a page ends among long and short packets, by a quarter of their difference: 10 ms as libvorbis
# encodes 44.1 kHz, and 46 ms at most. The samples have no gaps there (libavformat/oggdec.c and
# oggparsevorbis.c, ffmpeg 9.0).
VORBIS_TIMING = {**TIMING, "min_comp": 0.05, "min_hard_comp": 0.05}
# What ffmpeg reports if the number of channels, their layout or the sample rate changes.
CHANGE = "Changing audio frame properties on the fly is not supported"
T = TypeVar("T")
Image = NDArray[np.uint8]
Stream = Literal["audio", "video"]


@dataclass(frozen=True, kw_only=True)
class Media(Generic[T]):
    """The decoded streams of a media file.

    Attributes:
        waveforms: Hz to (n_samples,), at most 10 s; full scale is 1.
        images: the converted images that differ from the one before.
        image_index: (n_frames,) the image of each frame that the stream reaches, as an index
            into `images`.
        errors: streams that cannot be decoded, and why.
        warning: first ffmpeg warning about a file that was decoded; else empty.
    """

    waveforms: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    images: Sequence[T] = ()
    image_index: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    errors: Mapping[Stream, str] = field(default_factory=dict)
    warning: str = ""


def read_media(
    path: Path,
    *,
    sample_rates: Sequence[int] = (),
    each_image: Callable[[Image], T] | None = None,
    header: Header | None = None,
) -> Media[T]:
    """Decode the first 10 s of a media file in one pass (Section 4.2).

    The audio is the mean of all channels, resampled; a late start is filled with silence, so
    that sample 0 is second 0 of the container. Each frame, `IMAGE_RATE` per second, gets the image
    nearest in time to its onset, rotated as specified by the container; before a late start, it
    gets the first image.

    Args:
        path: a media file.
        sample_rates: Hz; empty to skip audio.
        each_image: converts each image, (height, width, 3) RGB in its own size, that differs from
            the one before it; None to skip images.
        header: the file's header, if it was read before.

    Raises:
        AvsedError: if ffmpeg was killed.
        OSError: if the disk of temporary files is full.
    """
    header = header or header_of(path)
    media = _decode(path, header, sample_rates, each_image)
    if not media.errors:
        return media
    if sample_rates and each_image:
        # Decode the streams apart: an error in one can stop the other.
        audio: Media[T] = read_media(path, sample_rates=sample_rates, header=header)
        video = read_media(path, each_image=each_image, header=header)
        return Media(
            waveforms=audio.waveforms,
            images=video.images,
            image_index=video.image_index,
            errors={**audio.errors, **video.errors},
            warning=audio.warning or video.warning,
        )
    (stream, error), *_ = media.errors.items()
    if CHANGE in error and header.audio:
        return _decode(path, header, sample_rates, None, is_uniform=True)
    for other in alternatives(header, stream):
        attempt = _decode(path, other, sample_rates, each_image)
        if not attempt.errors:
            return replace(attempt, warning=f"{error}; another {stream} stream is used")
    return media


def alternatives(header: Header, stream: Stream) -> list[Header]:
    """Return the header with each of the streams that are not preferred, and with nothing else."""
    alone = replace(header, audio=(), video=())
    if stream == "audio":
        return [replace(alone, audio=(track,)) for track in header.audio[1:]]
    return [replace(alone, video=(track,)) for track in header.video[1:]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A media file as an input of ffmpeg.

    Attributes:
        audio: its audio stream, as a node of ffmpeg's graph.
        video: its video stream, likewise.
        layout: ffmpeg's name of the audio's channel layout.
        timing: options of `aresample` that keep the audio near its time stamps.
    """

    audio: Any
    video: Any
    layout: str
    timing: Mapping[str, float]


def _decode(
    path: Path,
    header: Header,
    sample_rates: Sequence[int],
    each_image: Callable[[Image], T] | None,
    *,
    is_uniform: bool = False,
) -> Media[T]:
    """Decode the preferred streams in one pass; what cannot be decoded is in the errors.

    Args:
        path: likewise below as for `read_media`.
        header: the file's header.
        sample_rates: Hz.
        each_image: converts each image.
        is_uniform: whether to bring the audio to one format first.
    """
    try:
        return _one_pass(path, header, sample_rates, each_image, is_uniform=is_uniform)
    except DecodeError as error:
        errors: dict[Stream, str] = {}
        if sample_rates:
            errors["audio"] = f"audio: {error}"
        if each_image:
            errors["video"] = f"video: {error}"
        return Media(errors=errors)


def _one_pass(
    path: Path,
    header: Header,
    sample_rates: Sequence[int],
    each_image: Callable[[Image], T] | None,
    *,
    is_uniform: bool,
) -> Media[T]:
    alone: Stream | None = None
    if not each_image or not sample_rates:
        alone = "audio" if sample_rates else "video"
    source = (
        uniform_input(header)
        if is_uniform
        else media_input(path, header, alone=alone, t=CLIP_DURATION)
    )
    feed = uniform_audio(path, header, t=CLIP_DURATION) if is_uniform else None
    with work_folder(Path(tempfile.gettempdir())) as folder:
        samples = {rate: folder / f"{rate}.f32" for rate in sample_rates}
        # ffmpeg-python refuses filters that are the same for two outputs.
        audio = source.audio.filter_multi_output("asplit", len(samples))
        outputs = [
            audio_output(replace(source, audio=audio[number]), rate, path)
            for number, (rate, path) in enumerate(samples.items())
        ]
        if each_image:
            outputs.append(image_output(source))
        command = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
        command = command.global_args("-hide_banner", "-loglevel", "error").overwrite_output()
        (images, image_index), warning = stream_ffmpeg(
            command.get_args(),
            lambda stream: _distinct_images(stream, each_image),
            feed=feed,
            unused=header.unused_names,
        )
        waveforms = {rate: _read_samples(path, rate) for rate, path in samples.items()}
    errors: dict[Stream, str] = {}
    if any(waveform.size == 0 for waveform in waveforms.values()):
        errors["audio"] = "audio: no samples can be decoded"
    elif not all(np.isfinite(waveform).all() for waveform in waveforms.values()):
        errors["audio"] = "audio: contains NaN or infinite samples"
    if each_image and not images:
        errors["video"] = "video: no images can be decoded"
    return Media(
        waveforms={} if "audio" in errors else waveforms,
        images=images,
        image_index=image_index,
        errors=errors,
        warning=warning,
    )


def media_input(
    path: Path, header: Header | None = None, *, alone: Stream | None = None, **options: float | str
) -> Source:
    """Return the preferred streams of a file as an input of ffmpeg.

    Args:
        path: a media file.
        header: its header, if it was read before.
        alone: the stream to decode if the other one is not decoded.
        options: options of ffmpeg for the input.
    """
    header = header or header_of(path)
    # A new filter graph after a change of format would count time from 0 again. Without one, images
    # are scaled to the size of the first, and a change of the audio format is an error.
    options = {"reinit_filter": 0, "max_pixels": MAX_PIXELS, **options}
    if delay := _delay(header, alone):
        options["itsoffset"] = delay
    if header.video and "theora" in header.video[0].names:
        # Threads that decode one frame each race: pixels of a still scene differ between runs.
        options["thread_type"] = "slice"
    decoder = pcm_decoder(path)
    source = ffmpeg.input(file_url(path), **options, **({"c:a": decoder} if decoder else {}))
    # Without a stream, ffmpeg reports that there is none. Attached pictures are not in `V`.
    return Source(
        audio=source[str(header.audio[0].index) if header.audio else "a"],
        video=source[str(header.video[0].index) if header.video else "V"],
        layout=header.audio[0].layout if header.audio else "",
        timing=_timing(header),
    )


def _delay(header: Header, alone: Stream | None) -> float:
    tracks = {"audio": header.audio, "video": header.video, None: ()}[alone]
    return header.delay(tracks[0]) if tracks else 0.0


def _timing(header: Header) -> Mapping[str, float]:
    is_vorbis = bool(header.audio) and "vorbis" in header.audio[0].names
    return VORBIS_TIMING if is_vorbis else TIMING


def uniform_audio(path: Path, header: Header, **options: float | str) -> list[str]:
    """Return arguments of ffmpeg that bring all of a file's audio to one channel and one rate.

    They are for audio whose format changes half way: filters start again at each change, so these
    leave gaps and offsets to a second ffmpeg, which reads their output from `uniform_input`.
    """
    source = media_input(path, header, alone="audio", **options, reinit_filter=1)
    mean = source.audio.filter("aformat", sample_fmts="fltp").filter("pan", MEAN)
    same_rate = mean.filter("aresample", header.audio[0].sample_rate)
    form = "nut" if header.has_time_stamps else "f32le"  # both can be read from a pipe
    output = same_rate.output("pipe:", format=form, acodec="pcm_f32le")
    arguments: list[str] = output.global_args("-hide_banner", "-loglevel", "error").get_args()
    return arguments


def uniform_input(header: Header) -> Source:
    """Return an input of ffmpeg that reads the output of `uniform_audio`."""
    if header.has_time_stamps:
        # `copyts`, or a late start of the audio would be moved to 0.
        source = ffmpeg.input("pipe:", format="nut", copyts=None)
    else:
        source = ffmpeg.input("pipe:", format="f32le", ac=1, ar=header.audio[0].sample_rate)
    return Source(audio=source.audio, video=source.video, layout="mono", timing=_timing(header))


def header_of(path: Path) -> Header:
    """Read a file's header; an empty one if it cannot be read, as the decoder will report."""
    try:
        return read_header(path)
    except DecodeError:
        return Header()


def audio_output(source: Source, sample_rate: int, path: Path) -> Any:
    """Return an output with the mean of all channels from time 0, without gaps, as float32.

    Raises:
        DecodeError: if there are more than `MAX_CHANNELS`.
    """
    audio = source.audio
    if source.layout not in ("mono", "stereo"):
        unnamed = re.match(r"(\d+) channels", source.layout)
        if unnamed and int(unnamed[1]) > MAX_CHANNELS:
            raise DecodeError(f"has {unnamed[0]}; at most {MAX_CHANNELS} can be mixed")
        # `aresample` weighs channels as loudspeakers, and refuses layouts that it does not know.
        audio = audio.filter("aformat", sample_fmts="fltp").filter("pan", MEAN)
    # `first_pts` fills the time before the first time stamp, unless it is below `min_comp`.
    # `rematrix_maxval` makes mono the mean of two channels; ffmpeg's default is 0.71 times the sum.
    resampled = audio.filter(
        "aresample", sample_rate, **source.timing, first_pts=0, rematrix_maxval=1.0
    )
    return resampled.output(str(path), format="f32le", acodec="pcm_f32le", ac=1)


def image_output(source: Source) -> Any:
    """Return an output with the image nearest to the onset of each frame, as PPM.

    An image is the nearest one from the midpoint between it and the image before. Its time stamp is
    moved to that midpoint, and a frame takes the last image up to its onset.
    """
    rate = f"{IMAGE_RATE.numerator}/{IMAGE_RATE.denominator}"
    nearest = (
        source.video.filter("scale")  # to the size of the first image, if the size changes
        .filter("settb", "AVTB")  # microseconds: midpoints need a fine time base
        .filter("setpts", "if(N,(PTS+PREV_INPTS)/2,PTS)")
        .filter("fps", rate, start_time=0, round="up")
    )
    # PPM contains the size of each image, which rotation and unusual files can change.
    return nearest.output("pipe:", format="image2pipe", vcodec="ppm", pix_fmt="rgb24")


def _read_samples(path: Path, sample_rate: int) -> NDArray[np.float32]:
    samples = np.fromfile(path, dtype="<f4") if path.exists() else np.empty(0, np.float32)
    return samples[: n_samples(CLIP_DURATION, sample_rate)].astype(np.float32)


def read_images(stream: IO[bytes]) -> Iterator[Image | None]:
    """Yield the PPM images of a stream; None for an image equal to the one before it.

    A truncated image ends the stream, as after the end of a killed ffmpeg.
    """
    previous = bytearray()
    while stream.readline() == b"P6\n":
        size = stream.readline()
        if stream.readline() != b"255\n":  # the maximum value
            return
        width, height = (int(number) for number in size.split())
        pixels = bytearray(width * height * 3)
        if stream.readinto(pixels) < len(pixels):  # type: ignore[attr-defined]
            return
        # A still scene repeats images to the bit.
        is_repeated = pixels == previous
        previous = pixels
        yield None if is_repeated else np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def _distinct_images(
    stream: IO[bytes], each_image: Callable[[Image], T] | None
) -> tuple[list[T], NDArray[np.intp]]:
    """Convert the images that differ from the one before, and index them by frame."""
    images: list[T] = []
    index = []
    for image in read_images(stream) if each_image else ():
        if image is not None and each_image:
            images.append(each_image(image))
        index.append(len(images) - 1)
    return images, np.array(index[:N_FRAMES], dtype=np.intp)
