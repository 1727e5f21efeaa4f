"""The command `avsed`: help, quiet, completion, mistakes, interrupts, pipes."""

import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import h5py
import pytest

from avsed.dataset.annotations import write_classes
from avsed.dataset.clips import write_clips
from avsed.dataset.ffmpeg import run_ffmpeg
from avsed.runtime.interrupts import INTERRUPTED
from avsed.runtime.process import READER_GONE
from tests.conftest import ROOT, clip_record, run_avsed
from tests.helpers.models import write_model
from tests.helpers.shards import write_features
from tests.helpers.user_folder import write_lists, write_set_up

VERBS = (
    "metadata check",
    "metadata import",
    "metadata cut",
    "clips retry",
    "features check",
    "features show",
    "store clean",
    "train",
    "predict",
    "listen",
    "export",
)
AVSED = (sys.executable, "-m", "avsed.cli")


def run_program(folder: Path, *arguments: str | Path, **named: str) -> tuple[int, str, str]:
    """Run the command in its own process; return its exit status, output and errors."""
    done = subprocess.run(
        [*AVSED, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), **named},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def shown_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, of: str) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    assert run_avsed(monkeypatch, *of.split(), "--help") == 0
    return capsys.readouterr().out


def test_help_has_an_example_of_every_verb_and_what_exit_statuses_mean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = shown_help(capsys, monkeypatch, "")
    assert max(map(len, shown.splitlines())) <= 80
    for verb in VERBS:
        assert re.search(rf"^    avsed {verb}\b", shown, re.MULTILINE)
    assert re.findall(r"^    (\d+) +\w", shown, re.MULTILINE) == ["0", "1", "2", "130"]


@pytest.mark.parametrize("verb", [*VERBS, "completion"])
def test_the_help_of_a_command_has_its_example_and_statuses_and_the_option_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    shown = shown_help(capsys, monkeypatch, verb)
    assert max(map(len, shown.splitlines())) <= 80
    assert re.search(rf'^  Examples:\n    (eval "\$\()?avsed {verb}\b', shown, re.MULTILINE)
    assert re.findall(r"^    (\d+) +\w", shown, re.MULTILINE) == ["0", "1", "2", "130"]
    can_fail = verb in ("metadata check", "features check", "predict")
    assert ("Exit with status 1 if" in shown) == can_fail
    assert ("--quiet" in shown) == (verb not in ("completion", "listen"))


def test_the_examples_of_help_are_commands_that_it_knows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # where none of them finds what it needs
    examples = re.findall(r"^    avsed (.*)$", shown_help(capsys, monkeypatch, ""), re.MULTILINE)
    assert {example.split()[0] for example in examples} == {verb.split()[0] for verb in VERBS}
    for example in examples:
        if example in ("predict dog.ogg", "listen"):  # need a network, or a microphone
            continue
        assert run_avsed(monkeypatch, *example.split()) == 2
        assert "see `avsed" not in capsys.readouterr().err  # its arguments are right


def test_help_loads_no_large_library() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "avsed.cli", "--help"]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = {line.split("|")[-1].strip() for line in loaded.stderr.splitlines()}
    assert "avsed.commands" in modules
    assert not modules & {"numpy", "torch", "matplotlib", "pydantic", "h5py", "yt_dlp"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "Missing command (see `avsed --help`)"),
        ("pre", "No such command 'pre'. Did you mean 'predict'?"),
        ("metadata", "Missing command (see `avsed metadata --help`)"),
        ("metadata check", "params.yaml: no such file; run avsed in the folder of the project"),
        ("metadata check file", "Invalid value for '[FOLDER]': Directory 'file' is a file (see"),
        ("metadata check a b", "Got unexpected extra argument (b) (see `avsed metadata check"),
        ("clips retry", "params.yaml: no such file; run avsed in the folder of the project"),
        ("features check", "data/clips.csv: is not a valid clip table"),
        ("features show x", "data/features: has no features of x"),
        ("features show x --out y", "y: cannot be drawn (its extension names no format)"),
        ("features show x --out .", ".: cannot be drawn (is a folder)"),
        ("store clean", "params.yaml: no such file; run avsed in the folder of the project"),
        ("train", "Missing option '--shard' (see `avsed train --help`)"),
        ("train --shard 9/8", "Invalid value for '--shard': '9/8' is not I/N, such as 1/8 "),
        ("train --shard 1/8", "params.yaml: no such file; run avsed in the folder of the project"),
        ("predict --model y", "Missing argument 'MEDIA...' (see `avsed predict --help`)"),
        ("predict x --model", "Option '--model' requires an argument (see"),
        ("predict x --model file", "Invalid value for '--model': Directory 'file' is a file (see"),
        ("predict x --model y --frob", "No such option '--frob' (see `avsed predict --help`)"),
        ("predict x --model y --thresh z", "No such option '--thresh'. Did you mean '--thres"),
        ("predict x --model y --threshold z", "Invalid value for '--threshold': 'z' is not"),
        ("completion -s csh", "Invalid value for '-s' / '--shell': 'csh' is not one of 'bash', "),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    arguments: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert run_avsed(monkeypatch, *arguments.split()) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {message}") and said.err.count("\n") == 1
    assert not said.out


def test_a_file_in_place_of_a_folder_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_set_up(tmp_path, "demo")
    write_clips(Path("data/clips.csv"), [clip_record("a")])
    monkeypatch.setenv("AVSED_STORE", "params.yaml")
    assert run_avsed(monkeypatch, "clips", "retry") == 2
    said = capsys.readouterr().err
    assert "Not a directory: 'params.yaml/youtube'" in said and said.count("\n") == 1
    Path("params.yaml").unlink()
    Path("params.yaml").mkdir()
    assert run_avsed(monkeypatch, "clips", "retry") == 2
    said = capsys.readouterr().err
    assert said == "error: params.yaml: cannot be read (Is a directory)\n"


def test_names_that_are_no_text_are_printed(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff\nlists")
    write_lists(folder)
    status, said, _ = run_program(tmp_path, "metadata", "check", folder.name)
    assert status == 0 and "\\udcff" in said
    shutil.rmtree(folder)
    status, _, error = run_program(tmp_path, "metadata", "check", folder.name)
    assert status == 2 and error.count("\n") == 1


def test_damaged_features_that_are_to_be_drawn_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_features(Path("data/features"), 0, "a")
    with h5py.File(path) as shard:
        chunk = shard["features"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    path.write_bytes(content)
    assert run_avsed(monkeypatch, "features", "show", "a") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: data/features/auditory/part-00000.h5: cannot be read (")
    assert said.endswith("; run `dvc repro -f extract`\n") and said.count("\n") == 1


def test_a_job_without_seeds_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_set_up(tmp_path, "demo")
    arguments = ("spectral", "--shard", "3/3", "spectral")  # twice is once
    assert run_avsed(monkeypatch, "train", *arguments) == 0
    assert capsys.readouterr().err.startswith(
        "warning: job 3 has no seeds to train; use at most 2 "
    )


def test_quiet_checks_print_errors_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lists(tmp_path)
    write_classes(tmp_path, ("Cat",))
    assert run_avsed(monkeypatch, "metadata", "check", ".", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    write_classes(tmp_path, ("Cow",))
    assert run_avsed(monkeypatch, "metadata", "check", "-q", ".") == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("error: ") == said.err.count("\n") == 3
    write_clips(Path("data/clips.csv"), [clip_record("a", has_video=False)])
    write_features(Path("data/features"), 0, "b")
    assert run_avsed(monkeypatch, "features", "check", "--quiet") == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("error: ") == said.err.count("\n") == 2


def test_quiet_predictions_are_written_and_not_printed(
    tmp_path: Path,
    clip_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    model = write_model(tmp_path / "spectral", "spectral")
    arguments = ("--model", model, "--out", "found")
    assert run_avsed(monkeypatch, "predict", "--quiet", clip_path, *arguments) == 0
    assert capsys.readouterr() == ("", "")
    assert Path("found", "events.tsv").exists()
    assert run_avsed(monkeypatch, "predict", "-q", clip_path, "absent.mp4", *arguments) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.splitlines() == [
        "error: absent.mp4: no such file",
        "1 of 2 files could not be scored",
    ]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_ends_the_command_silently(tmp_path: Path, unbuffered: str) -> None:
    write_lists(tmp_path)
    environment = {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": unbuffered}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*AVSED, "metadata", "check", tmp_path],
        env=os.environ | environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (READER_GONE, "")


def test_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    write_lists(tmp_path)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*AVSED, "metadata", "check", tmp_path],
            env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr and done.stderr.count("\n") == 1


@pytest.fixture
def shell_folder(tmp_path: Path) -> Path:
    """Create a folder with files and a folder to complete, and the command."""
    (tmp_path / "film.mp4").touch()
    (tmp_path / "talk of today.mp3").touch()
    (tmp_path / "models").mkdir()
    program = tmp_path / "bin" / "avsed"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / "src"} exec {" ".join(AVSED)} "$@"\n')
    program.chmod(0o755)
    return tmp_path


def shell_environment(folder: Path) -> dict[str, str]:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "HOME": str(folder), "TERM": "dumb"}


@pytest.mark.parametrize(
    ("shell", "set_up"),
    [
        (["bash", "--norc", "-i"], 'eval "$(avsed completion -s bash)"'),
        (
            ["zsh", "-f", "-i"],
            'autoload -U compinit; compinit -u -D; eval "$(avsed completion -s zsh)"',
        ),
    ],
)
def test_bash_and_zsh_complete_commands_options_and_files(
    shell_folder: Path, shell: list[str], set_up: str
) -> None:
    if not shutil.which(shell[0]):
        pytest.skip(f"{shell[0]} is not installed")
    terminal, of_shell = pty.openpty()
    process = subprocess.Popen(
        shell,
        cwd=shell_folder,
        env=shell_environment(shell_folder),
        stdin=of_shell,
        stdout=of_shell,
        stderr=of_shell,
        start_new_session=True,
    )
    os.close(of_shell)
    try:
        type_into(terminal, f"{set_up}; echo rea''dy\n", "ready")
        type_into(terminal, "avsed pre\t", "predict")
        type_into(terminal, "fil\t", "film.mp4")
        type_into(terminal, "talk\t", r"talk\ of\ today.mp3")
        type_into(terminal, "--mod\t", "--model")
        type_into(terminal, "mod\t", "models/")
        type_into(terminal, "\x15avsed feat\t", "features")
        type_into(terminal, "sh\t", "show")
        type_into(terminal, "\x15avsed completion --shell z\t", "zsh")
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("avsed pre", "predict"),
        ("avsed features ", "check show"),
        ("avsed features show --o", "--out"),
        ("avsed predict --mod", "--model"),
        ("avsed predict fil", "film.mp4"),
        ("avsed predict film.mp4 --model mod", "models/"),
        ("avsed predict film.mp4 --html fil", "film.mp4"),
        ("avsed completion --shell z", "zsh"),
    ],
)
def test_fish_completes_commands_options_and_files(
    shell_folder: Path, line: str, completed: str
) -> None:
    ask = f"avsed completion -s fish | source\necho (complete -C'{line}' | cut -f1 | sort)"
    done = subprocess.run(
        ["fish", "--no-config", "-c", ask],
        cwd=shell_folder,
        env=shell_environment(shell_folder),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (f"{completed}\n", "")


def type_into(terminal: int, keys: str, expected: str) -> None:
    """Type, and wait until a terminal shows what is expected after it."""
    os.write(terminal, keys.encode())
    shown = ""
    ends = time.monotonic() + 20
    while expected not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown):
        assert time.monotonic() < ends, shown
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")


@pytest.mark.attack
@pytest.mark.slow
def test_an_interrupt_at_any_moment_is_one_line_and_status_130(
    tmp_path: Path, clip_path: Path
) -> None:
    """Send Ctrl-C to all processes of the terminal, at moments of the whole run of a command."""
    write_set_up(tmp_path, "demo")
    write_lists(tmp_path / "data" / "metadata")
    write_classes(tmp_path / "data" / "metadata", ("Cat",))
    write_clips(tmp_path / "data" / "clips.csv", [clip_record("a", has_video=False)])
    write_features(tmp_path / "data" / "features", 0, "a")
    write_model(tmp_path / "visual", "visual")
    run_ffmpeg(["-stream_loop", "15", "-i", str(clip_path), "-c", "copy", str(tmp_path / "a.mp4")])
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "AVSED_STORE": ""}
    chance = random.Random(1)  # noqa: S311
    commands = (
        "metadata check",
        "clips retry",
        "features check",
        "features show a",
        "store clean",
        "train --shard 1/2",
        "predict a.mp4 --model visual --html a.html --out out",
    )
    # An interrupt while Python itself starts is Python's to explain.
    program = "import sys; from avsed.cli import main; sys.stderr.write('ready\\n'); main()"
    n_interrupted = 0
    for command in commands:
        lasts, undisturbed = time_and_stderr(tmp_path, *command.split())
        for _ in range(5):
            moment = chance.uniform(0.0, lasts)
            running = subprocess.Popen(
                [sys.executable, "-c", program, *command.split()],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            assert running.stderr and running.stderr.readline() == "ready\n"
            time.sleep(moment)
            with suppress(ProcessLookupError):  # it has ended
                os.killpg(running.pid, signal.SIGINT)
            _, said = running.communicate(timeout=60)
            if running.returncode == 130:
                n_interrupted += 1
                # On a line of its own: a bar, or the terminal's ^C, may stand in the one before.
                assert said == f"\n{INTERRUPTED}\n", (command, moment)
            elif running.returncode == -signal.SIGINT:  # before its main function, or after it
                assert said in ("", f"\n{INTERRUPTED}\n", undisturbed), (command, moment)
            else:
                assert running.returncode in (0, 1, 2), (command, moment, said)
                assert "Traceback" not in said, (command, moment)
            assert not list(tmp_path.rglob("*.part")), (command, moment)
    assert n_interrupted > 5 * len(commands) / 3


def time_and_stderr(folder: Path, *arguments: str) -> tuple[float, str]:
    """Run the command undisturbed; return its seconds and its standard error."""
    begun = time.monotonic()
    _, _, said = run_program(folder, *arguments, AVSED_STORE="")
    return time.monotonic() - begun, said
