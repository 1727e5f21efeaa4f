"""An interrupt ends a program within two seconds, with one line and exit status 130."""

import signal
import subprocess
import sys
import time

import pytest

from avsed.runtime.interrupts import INTERRUPTED

PROGRAM = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from avsed.cli import run
from avsed.errors import AvsedError

def wait():
    print("in work", flush=True)
    time.sleep(30)

def swallow():
    try:
        wait()
    except BaseException:
        time.sleep(30)

def take_it_for_another():
    try:
        wait()
    except BaseException:
        raise AvsedError("a program that was interrupted, too, has failed")

def take_it_for_the_end():
    try:
        wait()
    except BaseException:
        return

def wait_for_threads():
    with ThreadPoolExecutor() as pool:
        pool.submit(time.sleep, 30)
        wait()

def leave_threads():
    threading.Thread(target=time.sleep, args=(30,)).start()
    wait()

def end():
    threading.Thread(target=time.sleep, args=(30,)).start()
    print("in work", flush=True)
"""


@pytest.mark.parametrize(
    "at",
    [
        "swallow()",  # as at an import
        "run(wait)",
        "run(swallow)",
        "run(take_it_for_another)",
        "run(take_it_for_the_end)",
        "run(wait_for_threads)",
        "run(leave_threads)",
        "run(end)",
    ],
)
def test_an_interrupt_ends_the_program(at: str) -> None:
    """Before, in and after the main function."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + at],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "in work\n"
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, said = process.communicate()
    assert time.monotonic() - started < 2
    assert process.returncode == 130
    assert said.split("\n") == ["", INTERRUPTED, ""]


def test_ignored_interrupts_stay_ignored() -> None:
    program = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)" + PROGRAM.replace(
        "time.sleep(30)", "time.sleep(0.3)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program + "run(wait)"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "in work\n"
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0
