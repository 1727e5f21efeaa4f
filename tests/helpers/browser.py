"""A headless Chromium, controlled through the DevTools protocol."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 30.0  # seconds


@contextmanager
def started_browser(profile_dir: Path) -> "Iterator[Browser]":
    """Start a browser with its own profile; stop it at the end of the block."""
    assert CHROMIUM
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    options += ["--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [CHROMIUM, *options, f"--user-data-dir={profile_dir}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_path = profile_dir / "DevToolsActivePort"
        wait(lambda: port_path.exists() and port_path.read_text().count("\n") >= 1)
        port, address = port_path.read_text().splitlines()
        with connect(f"ws://127.0.0.1:{port}{address}", max_size=None, proxy=None) as socket:
            yield Browser(socket)
    finally:
        process.terminate()
        process.wait()


def wait(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "nothing comes of waiting"
        time.sleep(0.05)


class Browser:
    """One tab, with the addresses that it requested and its error messages."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self.n_sent = 0
        self.session: dict[str, str] = {}
        targets = self.send("Target.getTargets")["targetInfos"]
        (target,) = (target for target in targets if target["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> Any:
        """Send a command, record the events that arrive meanwhile, and return the result."""
        self.n_sent += 1
        message = {"id": self.n_sent, "method": method, "params": params}
        self.socket.send(json.dumps(message | self.session))
        while True:
            answer = json.loads(self.socket.recv(timeout=PATIENCE))
            if answer.get("id") == self.n_sent:
                assert "error" not in answer, answer
                return answer["result"]
            if answer.get("method") == "Network.requestWillBeSent":
                self.requested.append(answer["params"]["request"]["url"])
            if answer.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.complaints.append(json.dumps(answer["params"]))

    def run(self, script: str) -> Any:
        """Evaluate an expression in the page."""
        result = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def open(self, path: Path) -> None:
        """Open a page and wait until it has loaded."""
        self.send("Page.navigate", url=path.as_uri())
        wait(lambda: self.run("location.protocol + document.readyState") == "file:complete")

    def choose_file(self, element: str, path: Path) -> None:
        """Choose a file in a file input, which a JavaScript expression names."""
        found = self.send("Runtime.evaluate", expression=element)["result"]
        self.send("DOM.setFileInputFiles", files=[str(path)], objectId=found["objectId"])

    def click(self, x: float, y: float) -> None:
        """Click at a position in pixels."""
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
