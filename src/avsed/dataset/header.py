"""Read the header of a media file, and choose the streams to decode."""

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from avsed.dataset.ffmpeg import (
    TIME_LIMIT,
    DecodeError,
    ffmpeg_path,
    file_url,
    first_error,
    run_ffmpeg,
)
from avsed.errors import AvsedError

MAX_PIXELS = 8192 * 4320  # of an image: 8K; headers of damaged files can claim any size

_STREAM = re.compile(
    r"^ {2,4}Stream #0:(?P<index>\d+)[^:]*: (?P<kind>Audio|Video): "
    r"(?P<codec>\w+)(?: \((?P<decoder>\w+)\))?(?P<description>.*)$",
    re.M,
)
_SOUND = re.compile(r", (?P<rate>\d+) Hz, (?P<layout>[^,]+)")
_PLAYLIST = re.compile(r"^Input #0, (concat|dash|hls|imf)\b", re.M)
# Bare streams of frames. ffmpeg counts their time by the rate of the first frame.
_BARE = re.compile(r"^Input #0, (aac|ac3|dts|eac3|mp3)\b", re.M)
# Formats whose time ffmpeg counts from the first of the streams that it decodes, not of all (those
# with the flag AVFMT_TS_DISCONT; fftools/ffmpeg_demux.c, ffmpeg 9.0).
_OWN_START = re.compile(r"^Input #0, (mpeg|mpegts|ogg)\b", re.M)
_START = re.compile(r", start:? (-?\d+\.\d+)")
_DURATION = re.compile(r"^  Duration: (\d+):(\d+):(\d+\.\d+)(?:, start: (-?\d+\.\d+))?", re.M)


@dataclass(frozen=True, kw_only=True)
class Track:
    """An audio or video stream of a media file.

    Attributes:
        index: its number in the container, from 0.
        names: names of its codec in ffmpeg's log.
        sample_rate: Hz; 0 for video.
        layout: ffmpeg's name of the channel layout, such as "stereo"; empty for video.
        is_default: whether the container marks it as the default.
        start: seconds of its first time stamp by the container's clock.
    """

    index: int
    names: frozenset[str]
    sample_rate: int
    layout: str
    is_default: bool
    start: float


@dataclass(frozen=True, kw_only=True)
class Header:
    """The description in the header of a media file.

    Attributes:
        audio: audio streams that can be decoded; first those marked as default, then in the order
            of the container.
        video: likewise; attached pictures, such as covers, are none.
        unused_names: names that only codecs of other streams have in ffmpeg's log.
        duration: seconds from the first time stamp; 0 if the container does not state it.
        has_time_stamps: whether the container has any.
        start: seconds of the first time stamp of the preferred streams; None where ffmpeg counts
            time from there, also if it decodes only one of them.
    """

    audio: tuple[Track, ...] = ()
    video: tuple[Track, ...] = ()
    unused_names: frozenset[str] = frozenset()
    duration: float = 0.0
    has_time_stamps: bool = True
    start: float | None = None

    def delay(self, track: Track) -> float:
        """Return the seconds to add to ffmpeg's time of a stream that is decoded alone."""
        return 0.0 if self.start is None else track.start - self.start


def read_header(path: Path) -> Header:
    """Read the header of a media file without decoding it.

    Raises:
        AvsedError: if ffmpeg was killed, or does not list its codecs.
        DecodeError: if it is not a media file, or is a playlist, whose media can be anywhere.
    """
    try:
        run_ffmpeg(["-hide_banner", "-max_pixels", str(MAX_PIXELS), "-i", file_url(path)])
    except subprocess.CalledProcessError as error:
        # ffmpeg describes its input before it reports that no output is given.
        described = error.stderr.decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        raise DecodeError(f"ffmpeg takes more than {TIME_LIMIT} s") from None
    if "Stream #" not in described:
        raise DecodeError(first_error(described))
    if _PLAYLIST.search(described):
        raise DecodeError("is a playlist of other files; replace it by the media")
    tracks: dict[str, dict[int, Track]] = {"Audio": {}, "Video": {}}
    unused: set[str] = set()
    for found in _STREAM.finditer(described):
        track = _track(found, described)
        # A stream of several programs is described in each of them.
        if "(attached pic)" in found["description"] or found["codec"] not in _decodable(
            ffmpeg_path()
        ):
            unused |= track.names
        else:
            tracks[found["kind"]][track.index] = track
    used = (track.names for track in (*tracks["Audio"].values(), *tracks["Video"].values()))
    audio, video = _preferred(tracks["Audio"]), _preferred(tracks["Video"])
    starts = [track.start for track in (*audio[:1], *video[:1])]
    return Header(
        audio=audio,
        video=video,
        unused_names=frozenset(unused).difference(*used),
        duration=_stated_duration(described),
        has_time_stamps=not _BARE.search(described),
        start=min(starts) if starts and _OWN_START.search(described) else None,
    )


def _track(found: re.Match[str], described: str) -> Track:
    sound = _SOUND.search(found["description"])
    # Streams whose start is that of the file, or not known, are described without one.
    start = _START.search(found["description"]) or _START.search(described)
    return Track(
        index=int(found["index"]),
        names=frozenset({found["codec"], found["decoder"] or found["codec"]}),
        sample_rate=int(sound["rate"]) if sound else 0,
        layout=sound["layout"] if sound else "",
        is_default="(default)" in found["description"],
        start=float(start[1]) if start else 0.0,
    )


def _preferred(tracks: dict[int, Track]) -> tuple[Track, ...]:
    return tuple(sorted(tracks.values(), key=lambda track: (not track.is_default, track.index)))


@cache
def _decodable(ffmpeg: str) -> frozenset[str]:
    """Return the names of the codecs that an ffmpeg can decode.

    Raises:
        AvsedError: if it cannot list them.
    """
    try:
        described = run_ffmpeg(["-hide_banner", "-codecs"])[0].decode()
    except subprocess.SubprocessError:
        raise AvsedError(f"{ffmpeg}: does not list its codecs; install another ffmpeg") from None
    return frozenset(re.findall(r"^ D\S{5} (\w+)", described, re.M))


def _stated_duration(described: str) -> float:
    """Return the duration in seconds; 0 if the container does not state it."""
    duration = _DURATION.search(described)
    # ffmpeg divides the size by the first bit rate, which can be far off for variable bit rates
    # (libavformat/demux.c, estimate_timings_from_bit_rate).
    if not duration or "Estimating duration from bitrate" in described:
        return 0.0
    hours, minutes, seconds, start = duration.groups()
    end = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    # Matroska's duration counts from 0 even if its time stamps do not.
    first = float(start or 0.0)
    return end - first if 0.0 < first < end else end
