"""How a stage script ends."""

import errno

import pytest

from avsed.cli import run
from avsed.errors import AvsedError


def test_a_users_mistake_is_one_line_and_exit_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise AvsedError("here: this is wrong; do that")

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: here: this is wrong; do that\n"


def test_a_full_disk_is_one_line_and_exit_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "data/features/part")

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 2
    assert "No space left on device: 'data/features/part'" in capsys.readouterr().err
