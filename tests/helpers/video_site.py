"""A local site of videos, which yt-dlp accesses like any other site."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from avsed.sources.youtube.fetching import Site


class VideoSite(ThreadingHTTPServer):
    """Serve videos under `/<video id>`, each in its own way.

    Attributes:
        answers: video id to what answers the requests for it; others are not found.
        n_requests: requests by video id.
        n_served: by video id, requests that were answered with a video.
        headers: of the last request.
    """

    daemon_threads = True

    def __init__(self, answers: Mapping[str, "Answer"]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = dict(answers)
        self.n_requests: Counter[str] = Counter()
        self.n_served: Counter[str] = Counter()
        self.headers: dict[str, str] = {}
        self.closing = threading.Event()

    @property
    def site(self) -> Site:
        """Return the address for yt-dlp's generic extractor."""
        return Site(
            address=f"http://127.0.0.1:{self.server_port}/{{video_id}}", extractor="generic"
        )

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    server: VideoSite

    def do_GET(self) -> None:  # the name required by the base class
        # As a proxy, it receives complete URLs.
        video_id = self.path.rsplit("/", 1)[1]
        self.server.headers = dict(self.headers)
        self.server.n_requests[video_id] += 1
        self.server.answers.get(video_id, refuse(404))(self, self.server.n_requests[video_id])

    def log_message(self, *_: object) -> None:
        """Log nothing."""


Answer = Callable[[_Handler, int], None]


def serve(content: bytes, content_type: str = "video/mp4", *, cut_at: int | None = None) -> Answer:
    """Answer with a file, possibly truncated although the full length was announced."""

    def answer(handler: _Handler, _: int) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        handler.send_response(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(content) - first))
        handler.send_header("Accept-Ranges", "bytes")
        if asked:
            handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        handler.wfile.write(content[first:cut_at])
        handler.server.n_served[handler.path.rsplit("/", 1)[1]] += 1

    return answer


def refuse(status: int, **headers: str) -> Answer:
    """Answer with an error."""

    def answer(handler: _Handler, _: int) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def drip(handler: _Handler, number: int) -> None:
    """Answer with a page, then with a file that never ends."""
    if number % 2:
        serve(b"junk" * 99)(handler, number)
        return
    handler.send_response(HTTPStatus.OK)
    handler.send_header("Content-Type", "video/mp4")
    handler.end_headers()
    while not handler.server.closing.wait(0.05):
        handler.wfile.write(b"x" * 4096)


def hang(handler: _Handler, _: int) -> None:
    """Send no answer until the site closes."""
    handler.server.closing.wait()


def at_first(n_requests: int, first: Answer, later: Answer) -> Answer:
    """Answer the first requests in one way and the others in another."""

    def answer(handler: _Handler, number: int) -> None:
        (first if number <= n_requests else later)(handler, number)

    return answer


@contextmanager
def open_site(answers: Mapping[str, Answer]) -> Iterator[VideoSite]:
    """Serve videos until the block ends."""
    site = VideoSite(answers)
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        site.shutdown()
        thread.join()
        site.server_close()
