"""Of the formats on offer, the download picks the largest with at most 360 pixels a side."""

from typing import Any

import pytest
from yt_dlp import YoutubeDL

from avsed.sources.youtube.fetching import FORMAT, FORMAT_SORT

LANDSCAPE = [(256, 144), (426, 240), (640, 360), (854, 480), (1280, 720)]
PORTRAIT = [(height, width) for width, height in LANDSCAPE]


def offered(width: int | None, height: int, acodec: str) -> dict[str, Any]:
    return {
        "format_id": f"{width}x{height}",
        "url": "https://example.org/",
        "ext": "mp4",
        "width": width,
        "height": height,
        "vcodec": "avc1",
        "acodec": acodec,
    }


def picked(sizes: list[tuple[int | None, int]], *, is_single_file: bool) -> str:
    """Return the format that yt-dlp picks, without asking any site."""
    formats = [
        offered(width, height, "mp4a.40.2" if is_single_file else "none") for width, height in sizes
    ]
    if not is_single_file:
        sound = {"format_id": "sound", "ext": "m4a", "vcodec": "none", "acodec": "mp4a.40.2"}
        formats.append({"url": "https://example.org/", **sound})
    video = {"id": "abcdefghijk", "title": "video", "formats": formats, "extractor": "youtube"}
    options = {"format": FORMAT, "format_sort": list(FORMAT_SORT), "quiet": True}
    with YoutubeDL(options) as youtube_dl:
        info = youtube_dl.process_ie_result(
            {**video, "extractor_key": "Youtube", "webpage_url": "https://example.org/"},
            download=False,
        )
    return str(info["format_id"]).removesuffix("+sound")


@pytest.mark.parametrize("is_single_file", [False, True])
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (LANDSCAPE, "640x360"),
        (PORTRAIT, "360x640"),
        (LANDSCAPE[:2], "426x240"),
        (PORTRAIT[:2], "240x426"),
        (LANDSCAPE[3:], "854x480"),
        (PORTRAIT[3:], "480x854"),
        ([(256, 106), (640, 266), (854, 356), (1280, 534)], "854x356"),
        ([(106, 256), (266, 640), (356, 854), (534, 1280)], "356x854"),
        ([(144, 144), (360, 360), (480, 480)], "360x360"),
        ([(None, 240), (None, 360), (None, 480)], "Nonex360"),
    ],
)
def test_the_shorter_side_decides_which_format_is_picked(
    sizes: list[tuple[int | None, int]], expected: str, is_single_file: bool
) -> None:
    assert picked(sizes, is_single_file=is_single_file) == expected
