"""Download one video with yt-dlp into its own folder, whole unless it is very long."""

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

# At most 360 pixels on the shorter side with audio, or any format if that is not offered. Some
# sessions get a single file with both streams. The filters of yt-dlp know no shorter side, as its
# sorting by `res` does.
_LANDSCAPE = "[height<=360][aspect_ratio>=?1]"
_PORTRAIT = "[width<=360][aspect_ratio<1]"
FORMAT = f"bv{_LANDSCAPE}+ba/bv{_PORTRAIT}+ba/b{_LANDSCAPE}/b{_PORTRAIT}/bv+ba/b"
FORMAT_SORT = ("+res:360", "vcodec:h264", "acodec:aac")
LONG_VIDEO = 2 * 3600  # seconds; only the part of the clip is requested from longer videos
SOCKET_TIMEOUT = 30  # seconds without a byte
TIME_LIMIT = 1800  # seconds of one video's download


@dataclass(frozen=True, kw_only=True)
class Site:
    """A site of videos.

    Attributes:
        address: URL of the page of a video, with `{video_id}`.
        extractor: yt-dlp's extractor for the site; others are disabled.
    """

    address: str
    extractor: str


YOUTUBE = Site(address="https://www.youtube.com/watch?v={video_id}", extractor="youtube")


@dataclass(frozen=True, kw_only=True)
class Access:
    """Settings of the requests.

    Attributes:
        site: the video site.
        cookies: the text of a cookies.txt, from `read_cookies`.
        proxy: URL of a proxy.
        pause: seconds between the requests for one video.
        long_video: seconds; only the part of the clip is downloaded from longer videos.
        socket_timeout: seconds without a byte.
    """

    site: Site
    cookies: str | None
    proxy: str | None
    pause: float
    long_video: float
    socket_timeout: float


@dataclass(frozen=True, kw_only=True)
class Video:
    """A downloaded file.

    Attributes:
        path: the file.
        start: the second of the video at which the file starts; 0 unless a part was downloaded.
        duration: seconds of the whole video according to the site; None if unknown.
    """

    path: Path
    start: float
    duration: float | None


def fetch_video(segment: Segment, folder: Path, access: Access) -> Video:
    """Download the video of a clip.

    Args:
        segment: the clip.
        folder: an empty folder for the file.
        access: settings of the requests.

    Raises:
        FetchError: if the download failed.
        OSError: if a disk is full.
    """

    def wanted_parts(info: Mapping[str, Any], _: YoutubeDL) -> Iterable[Mapping[str, float]]:
        # ffmpeg downloads parts but does not support SOCKS: it would bypass the proxy.
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
        raise FetchError(
            Outcome.TEMPORARY, "not delivered", "the site delivered no file of this video"
        )
    return Video(
        path=path, start=files[0].get("section_start") or 0.0, duration=info.get("duration")
    )


def read_cookies(path: Path) -> str:
    """Read a cookies.txt with cookies of YouTube.

    Raises:
        AvsedError: if it cannot be read, or has no such cookies.
    """
    try:
        text = path.read_text("utf-8-sig")
        cookies = YoutubeDLCookieJar(io.StringIO(text))
        # Messages about invalid lines would show cookies in logs.
        with redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
            cookies.load()
    except LoadError:  # its message would show them, too
        cookies = YoutubeDLCookieJar()
    except (OSError, UnicodeDecodeError) as error:
        raise AvsedError(f"download.cookies: {path} cannot be read ({error})") from None
    if not any(cookie.domain.endswith("youtube.com") for cookie in cookies):
        raise AvsedError(
            f"download.cookies: {path} has no cookies of youtube.com in Netscape format; export "
            "them from a browser that is signed in there"
        )
    return text


def _options(folder: Path, access: Access) -> dict[str, Any]:
    return {
        # File names are set here, never by a title.
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
        # yt-dlp writes to the given file, so it gets a copy.
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
        # A bug of yt-dlp with one video must not stop a run of days.
        reason = f"yt-dlp fails with {type(error).__name__}: {one_line(str(error))}"
        raise FetchError(Outcome.TEMPORARY, "not delivered", reason) from error


def _time_limit() -> Callable[[Mapping[str, Any]], None]:
    """Return a hook for yt-dlp that stops a download after `TIME_LIMIT`."""
    end = time.monotonic() + TIME_LIMIT

    def check(_: Mapping[str, Any]) -> None:
        if time.monotonic() > end:
            raise DownloadCancelled(f"took more than {TIME_LIMIT} s")

    return check


class _Silence:
    """A silent logger for yt-dlp; errors are raised as exceptions."""

    def debug(self, message: str) -> None:
        """Ignore a message."""

    info = warning = error = debug
