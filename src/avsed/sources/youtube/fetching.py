"""Fetch one video by yt-dlp, whole unless it is very long, into a folder of its own."""

import io
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from http.cookiejar import LoadError
from pathlib import Path
from typing import Any

from yt_dlp import YoutubeDL
from yt_dlp.cookies import YoutubeDLCookieJar
from yt_dlp.utils import DownloadCancelled, YoutubeDLError

from avsed.errors import AvsedError
from avsed.sources.youtube.failures import FetchError, Outcome, disk_trouble, explain, one_line
from avsed.sources.youtube.lists import Segment

# At most 360p with audio; whatever there is where that is not offered. Some sessions get a single
# file of both streams.
FORMAT = "bv[height<=360]+ba/b[height<=360]/bv+ba/b"
FORMAT_SORT = ("+res:360", "vcodec:h264", "acodec:aac")
LONG_VIDEO = 2 * 3600  # seconds; of longer ones only the clip's part is asked for
SOCKET_TIMEOUT = 30  # seconds without a byte
TIME_LIMIT = 1800  # seconds of one video's download


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where videos are asked for.

    Attributes:
        address: of a video's page, with `{video_id}` in it.
        extractor: yt-dlp's extractor for it; no other is let in.
    """

    address: str
    extractor: str


YOUTUBE = Site(address="https://www.youtube.com/watch?v={video_id}", extractor="youtube")


@dataclass(frozen=True, kw_only=True)
class Access:
    """How videos are asked for.

    Attributes:
        site: where.
        cookies: the text of a cookies.txt, as `read_cookies` gives it.
        proxy: address of a proxy.
        pause: seconds between the requests for one video.
        long_video: seconds; of longer videos only the clip's part is fetched.
        socket_timeout: seconds to wait for a byte.
    """

    site: Site
    cookies: str | None
    proxy: str | None
    pause: float
    long_video: float
    socket_timeout: float


@dataclass(frozen=True, kw_only=True)
class Video:
    """A fetched file.

    Attributes:
        path: the file.
        start: the second of the video at which the file starts: 0 unless a part was fetched.
        duration: seconds of the whole video as the site says; None where it does not.
    """

    path: Path
    start: float
    duration: float | None


def fetch_video(segment: Segment, folder: Path, access: Access) -> Video:
    """Fetch the video of a clip.

    Args:
        segment: the clip.
        folder: an empty folder, in which the file is written.
        access: how to ask.

    Raises:
        FetchError: if it was not had.
        OSError: if a disk is full.
    """

    def wanted_parts(info: Mapping[str, Any], _: YoutubeDL) -> Iterable[Mapping[str, float]]:
        # ffmpeg, which fetches parts, knows no SOCKS: it would go around the proxy.
        is_by_socks = (access.proxy or "").startswith("socks")
        if is_by_socks or (info.get("duration") or 0) <= access.long_video:
            return [{}]
        end = segment.start + segment.duration
        return [{"start_time": segment.start, "end_time": end}]

    info = _ask(
        segment, _options(folder, access) | {"download_ranges": wanted_parts}, access.site, folder
    )
    files = info.get("requested_downloads") or []
    path = Path(files[0]["filepath"]) if files and files[0].get("filepath") else None
    if info.get("id") != segment.video_id or path is None or not path.is_file():
        raise FetchError(Outcome.TEMPORARY, "not delivered", "the site gave no file of this video")
    return Video(
        path=path, start=files[0].get("section_start") or 0.0, duration=info.get("duration")
    )


def read_cookies(path: Path) -> str:
    """Read a cookies.txt, which must hold cookies of YouTube.

    Raises:
        AvsedError: if it cannot be read, or holds none.
    """
    try:
        text = path.read_text("utf-8-sig")
        cookies = YoutubeDLCookieJar(io.StringIO(text))
        # What it says of lines that it cannot read would show cookies in logs.
        with redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
            cookies.load()
    except LoadError:  # whose message would show them, too
        cookies = YoutubeDLCookieJar()
    except (OSError, UnicodeDecodeError) as error:
        raise AvsedError(f"download.cookies: {path} cannot be read ({error})") from None
    if not any(cookie.domain.endswith("youtube.com") for cookie in cookies):
        raise AvsedError(
            f"download.cookies: {path} holds no cookies of youtube.com in Netscape's form; export "
            "them from a browser that is signed in there"
        )
    return text


def _options(folder: Path, access: Access) -> dict[str, Any]:
    return {
        # Names come from here alone, never from a title.
        "outtmpl": {"default": str(folder / "video.%(ext)s")},
        "format": FORMAT,
        "format_sort": list(FORMAT_SORT),
        "merge_output_format": "mp4",
        "force_keyframes_at_cuts": True,
        "retries": 3,
        "fragment_retries": 3,
        "extractor_retries": 1,
        "skip_unavailable_fragments": False,
        "sleep_interval_requests": access.pause,
        "socket_timeout": access.socket_timeout,
        # The same for ffmpeg, in microseconds.
        "external_downloader_args": {
            "ffmpeg_i": ["-rw_timeout", f"{access.socket_timeout * 1e6:.0f}"]
        },
        "progress_hooks": [_time_limit()],
        "allowed_extractors": [access.site.extractor],
        "noplaylist": True,
        "proxy": access.proxy,
        # yt-dlp writes to the file that it is given; it gets a copy.
        "cookiefile": io.StringIO(access.cookies) if access.cookies else None,
        "quiet": True,
        "noprogress": True,
        "no_warnings": True,
        "logger": _Silence(),
        "color": "never",
    }


def _ask(segment: Segment, options: dict[str, Any], site: Site, folder: Path) -> Any:
    try:
        with YoutubeDL(options) as youtube_dl:
            address = site.address.format(video_id=segment.video_id)
            return youtube_dl.extract_info(address) or {}
    except DownloadCancelled as error:
        raise FetchError(Outcome.TEMPORARY, "network", str(error)) from None
    except Exception as error:
        if trouble := disk_trouble(error, folder):
            raise trouble from None
        if isinstance(error, YoutubeDLError):
            raise explain(error) from None
        # A fault of yt-dlp with one video must not end a run of days.
        reason = f"yt-dlp fails with {type(error).__name__}: {one_line(str(error))}"
        raise FetchError(Outcome.TEMPORARY, "not delivered", reason) from error


def _time_limit() -> Callable[[Mapping[str, Any]], None]:
    """Make a hook of yt-dlp that ends a download which trickles."""
    end = time.monotonic() + TIME_LIMIT

    def check(_: Mapping[str, Any]) -> None:
        if time.monotonic() > end:
            raise DownloadCancelled(f"took more than {TIME_LIMIT} s")

    return check


class _Silence:
    """A log of yt-dlp that says nothing: what matters comes as an exception."""

    def debug(self, message: str) -> None:
        """Drop a message."""

    info = warning = error = debug
