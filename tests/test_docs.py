"""README and docs: links lead to files and headings, and every command is run."""

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from ruamel.yaml import YAML

from avsed.config import load_variants
from tests.conftest import ROOT
from tests.helpers.cloned import Clone, stages_run

RELIABILITY = ROOT / "docs" / "reliability.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        name, _, heading = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings]
            assert heading in slugs, target


def pages_of(navigation: Any) -> list[str]:
    """List the pages of a navigation of MkDocs: names, or titles with names or parts."""
    if isinstance(navigation, str):
        return [navigation]
    parts = navigation.values() if isinstance(navigation, dict) else navigation
    return [page for part in parts for page in pages_of(part)]


def test_every_page_is_once_in_the_navigation_of_the_site() -> None:
    # Unlike "safe", "rt" reads tags that it does not know, such as !ENV of MkDocs.
    settings = YAML(typ="rt").load(ROOT / "docs" / "site" / "mkdocs.yml")
    pages = ["index.md" if page.name == "README.md" else page.name for page in PAGES]
    assert sorted(pages_of(settings["nav"])) == sorted([*pages, "CHANGELOG.md", "CONTRIBUTING.md"])


def test_what_holds_a_promise_is_there() -> None:
    """Files named in docs/reliability.md exist, and have attacks where they are marked."""
    rows = re.findall(r"^\| .* \| ([^|]*) \| [^|]*\|$", RELIABILITY.read_text(), re.MULTILINE)
    named = ",".join(row.strip() for row in rows if row != "Tests")
    names = re.findall(r"\b[a-z_/]+\b\*?(?=,|$)", named)
    assert names
    for name in names:
        folder, _, module = name.removesuffix("*").rpartition("/")
        tests = (ROOT / "tests" / folder / f"test_{module}.py").read_text()
        if name.endswith("*"):
            assert "pytest.mark.attack" in tests, name


def test_what_checks_an_unusual_file_is_there() -> None:
    page = (ROOT / "docs" / "files-in-the-wild.md").read_text()
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    functions = re.findall(r"`(test_\w+)`", page)
    assert len(functions) > 10
    for name in functions:
        assert f"def {name}(" in tests, name
    for module in re.findall(r"\b(?<!`)test_\w+\b(?!`)", page):
        assert list((ROOT / "tests").rglob(f"{module}.py")), module


def blocks(page: Path, language: str) -> list[str]:
    """List the code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """List the commands of a page, without comments."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", "").splitlines()
    return [" ".join(line.split("  #")[0].split()) for line in lines]


# What is not run here: the commands by which tests are run and installed for, and what needs
# YouTube (test_pipeline_youtube.py has a site of its own) or machines to reach by SSH.
NOT_RUN = {
    "make demo",
    "make test",
    "pip install -e '.[cluster]'",
    "pip install paramiko",
    "dvc exp run -S profile=paper",
    # Weights that are not on the package index.
    "dvc exp run -S profile=local -S profiles/local.yaml:auditory.network=vggish",
    "dask ssh head node1 node2 --nworkers 1 --nthreads 1 --memory-limit 0 --remote-python "
    '"$PWD/.venv/bin/python"',
}

SLURM = r"""#!/bin/bash
# As Slurm's sbatch, but with two jobs instead of eight, all on this machine.
command="${@: -1}"
for job in 1 2; do
    SLURM_ARRAY_TASK_ID=$job setsid bash -c "${command//\/8//2}" >job-$job.log 2>&1 &
    echo $! >>jobs
done
[[ $command == *train* ]] && wait
echo Submitted
"""


def copy_demo(finished_demo: Path, path: Path) -> Clone:
    """Copy a finished demo, and add the programs that the pages call."""
    shutil.copytree(finished_demo, path, symlinks=True)
    clone = Clone(path)
    programs = clone.path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "dask"):
        write_program(programs / name, f'exec {Path(sys.executable).parent / name} "$@"')
    write_program(programs / "avsed", f'exec {sys.executable} -m avsed.cli "$@"')
    write_program(programs / "sbatch", SLURM)
    (programs / "activate").touch()
    return clone


@pytest.fixture
def clone(finished_demo: Path, tmp_path: Path) -> Iterator[Clone]:
    """Copy a finished demo for one page, and end the jobs that its commands start."""
    clone = copy_demo(finished_demo, tmp_path / "clone")
    yield clone
    if (clone.path / "jobs").exists():
        for job in (clone.path / "jobs").read_text().split():
            with suppress(ProcessLookupError):
                os.killpg(int(job), signal.SIGKILL)


def write_program(path: Path, script: str) -> None:
    path.write_text(script if script.startswith("#!") else f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


def follow(
    clone: Clone,
    page: str,
    expected: Mapping[str, str],
    before: Mapping[str, Callable[[], None]] | None = None,
    **named: str,
) -> dict[str, str]:
    """Run a page's commands one after the other; each must say what is expected, and succeed.

    Args:
        clone: where to run them.
        page: of this repository.
        expected: all its commands in their order, with words of what each says.
        before: what happens before one of them.
        named: a word in capitals to the shell's words for what it stands for.

    Returns:
        Command to what it said.
    """
    outputs = {}
    assert [command for command in commands(ROOT / page) if command not in NOT_RUN] == [*expected]
    for written, words in expected.items():
        command = written
        if before and command in before:
            before[command]()
        for name, meaning in named.items():
            command = re.sub(rf"\b{name}\b", meaning, command)
        if command.endswith("&"):
            command = f"setsid {command[:-1]} >background.log 2>&1 & echo $! >>jobs"
        command = f'PATH="$PWD/.venv/bin:$PATH"; {command}'
        outputs[written] = clone.run("bash", "-c", command)
        assert words in outputs[written], f"{command}\n{outputs[written]}"
    return outputs


def write_media(clone: Clone) -> None:
    clips = sorted((clone.path / "data" / "clips").iterdir())
    (clone.path / "films").mkdir()
    for name, clip in zip(("film.mp4", "films/one.mp4", "films/two.mp4"), clips, strict=False):
        shutil.copy(clip, clone.path / name)
    noise = np.random.default_rng(0).normal(scale=0.1, size=12 * 22_050)
    soundfile.write(clone.path / "talk.mp3", noise, 22_050)
    soundfile.write(clone.path / "dog.ogg", noise, 22_050)


@pytest.fixture(scope="module")
def readme(finished_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Copy a finished demo for the README."""
    clone = copy_demo(finished_demo, tmp_path_factory.mktemp("readme") / "clone")
    write_media(clone)
    return clone


@pytest.fixture(scope="module")
def readme_outputs(readme: Clone) -> dict[str, str]:
    """Run the README's commands; returns command to output."""
    return follow(
        readme,
        "README.md",
        {
            "source .venv/bin/activate": "",
            "dvc exp run -S fusion.visual_dim=8": "Running stage 'train@spectral+visual'",
            "dvc metrics diff": "",
            "dvc exp show": "workspace",
            "dvc exp apply NAME": "",
            "avsed predict dog.ogg": "dog.ogg",
            "avsed predict talk.mp3 --model data/models/spectral": "talk.mp3",
            "avsed predict film.mp4 --model data/models/spectral+visual "
            "--plot film.png --html film.html": "film.mp4",
            "avsed --help": "Exit status",
            'eval "$(avsed completion -s bash)"': "",
        },
        NAME="$(dvc exp list --name-only)",
    )


@pytest.mark.slow
def test_the_readmes_commands_do_what_it_says(
    readme: Clone, readme_outputs: dict[str, str]
) -> None:
    assert readme_outputs
    assert "<html" in (readme.path / "film.html").read_text()


@pytest.mark.slow
def test_another_visual_size_trains_the_variants_that_use_it_and_no_other(
    finished_demo: Path, readme: Clone, readme_outputs: dict[str, str]
) -> None:
    output = readme_outputs["dvc exp run -S fusion.visual_dim=8"]
    changed = ("spectral+visual", "spectral+auditory+visual")
    trained = {f"train@{variant}" for variant in changed}
    assert {stage for stage in stages_run(output) if stage.startswith("train")} == trained
    scored = {f"score@{variant}" for variant in changed}
    assert stages_run(output) - trained - scored <= {
        "summarize",
        "illustrate",
        *(f"{stage}@{variant}" for stage in ("evaluate", "describe") for variant in changed),
    }

    card = json.loads((readme.path / "data/models/spectral+visual/model.json").read_text())
    assert card["embedding_dims"] == {"visual": 8}
    before, after = (
        json.loads((path / "metrics" / "table.json").read_text())["spectral+visual"]["clip_f1"]
        for path in (finished_demo, readme.path)
    )
    difference = readme_outputs["dvc metrics diff"]
    assert ("spectral+visual.clip_f1" in difference) == (before != after)


@pytest.mark.slow
@pytest.mark.pages
def test_a_trained_model_is_used_on_any_media(clone: Clone) -> None:
    write_media(clone)
    follow(
        clone,
        "docs/predict.md",
        {
            "avsed predict dog.ogg": "dog.ogg",
            "avsed predict talk.mp3 --model data/models/spectral": "talk.mp3",
            "avsed predict films/*.mp4 --model data/models/spectral+visual --out found": "one.mp4",
            "avsed predict films --out of_folder": "two.mp4",
            "avsed predict talk.mp3 --out tables --format csv --format raven": "talk.mp3",
            "avsed predict film.mp4 --model data/models/spectral+visual "
            "--plot film.png --html film.html": "film.mp4",
            "avsed listen - --json <talk.mp3": "listening; an event is printed",
        },
    )
    assert {path.name for path in (clone.path / "tables").iterdir()} == {
        "events.csv",
        "predicted.tsv",
        "talk.mp3.selections.txt",
    }
    assert {path.name for path in (clone.path / "found").iterdir()} >= {
        "events.tsv",
        "one.mp4.json",
        "two.mp4.txt",
    }


@pytest.mark.slow
@pytest.mark.pages
def test_questions_are_answered_by_what_runs(clone: Clone) -> None:
    follow(
        clone,
        "docs/questions.md",
        {
            "dvc status": "up to date",
            "git checkout .": "",
            "dvc checkout": "",
            "dvc exp run --queue -S fusion.visual_dim=8": "Queued",
            "dvc exp run --queue -S fusion.visual_dim=16": "Queued",
            "dvc exp run --run-all": "Ran experiment",
        },
    )
    assert len(clone.run("dvc", "exp", "list", "--name-only").split()) == 2


@pytest.mark.slow
def test_features_are_checked_and_shown(clone: Clone) -> None:
    follow(
        clone,
        "docs/speed.md",
        {"avsed features check": "0 errors", "avsed features show CLIP": ".png"},
        CLIP="$(sed -n 2p data/clips.csv | cut -d, -f1)",
    )


@pytest.mark.slow
def test_a_model_is_fetched_by_its_name(clone: Clone) -> None:
    clone.run("git", "config", "user.name", "a")
    clone.run("git", "config", "user.email", "b")
    page = commands(ROOT / "docs" / "files.md")
    tag, get = (command for command in page if command.startswith(("git tag", "dvc artifacts")))
    clone.run("bash", "-c", tag)
    clone.run("bash", "-c", get)
    assert {path.name for path in (clone.path / "fetched").iterdir()} >= {
        *("README.md", "decisions.json", "model.json", "seeds"),
    }


def test_the_class_on_the_page_is_that_of_the_file() -> None:
    (example,) = blocks(ROOT / "docs" / "features.md", "python")
    assert example in (ROOT / "src/avsed/features/networks/efficientnet_b0.py").read_text()


@pytest.mark.slow
@pytest.mark.pages
def test_another_kind_of_features_gets_a_row(clone: Clone) -> None:
    (line,) = blocks(ROOT / "docs" / "features.md", "yaml")
    with (clone.path / "variants.yaml").open("a") as file:
        file.write(line)
    trained = "Running stage 'train@spectral+visual_efficientnet'"
    output = follow(clone, "docs/features.md", {"dvc repro": trained})["dvc repro"]
    table = json.loads((clone.path / "metrics" / "table.json").read_text())
    assert list(table)[-2:] == ["spectral+visual_efficientnet", "yamnet_zero_shot"]
    # The other kinds and rows exist already.
    assert output.count("Running stage 'train@") == 1
    assert re.findall(r"^(\w+): .* shards to make", output, re.MULTILINE) == ["visual_efficientnet"]


@pytest.mark.slow
@pytest.mark.pages
def test_own_clips_are_trained_on(clone: Clone) -> None:
    media, lists = clone.path / "data/local/media", clone.path / "data/local/metadata"
    for clip in (clone.path / "data/clips").iterdir():
        shutil.copy(clip, media)
    for name in ("weak", "unlabeled", "validation", "test", "strong"):
        shutil.copy(clone.path / "data/metadata" / f"{name}.tsv", lists)
    classes = ", ".join((clone.path / "data/metadata/classes.txt").read_text().split())
    small = {
        r"classes: \[.*\]": f"classes: [{classes}]",
        "steps: 5000": "steps: 2",
        "n_weak: 24": "n_weak: 2",
        "n_unlabeled: 24": "n_unlabeled: 1",
        "n_seeds: 5": "n_seeds: 2",
    }
    for pattern, text in small.items():
        clone.replace("profiles/local.yaml", pattern, text)
    clone.commit()
    follow(
        clone,
        "docs/own-data.md",
        {
            "avsed metadata check data/local/metadata": "0 errors",
            "dvc exp run -S profile=local": "Running stage 'summarize'",
            "dvc exp run -S profile=local -S profiles/local.yaml:strong.n_clips=24": (
                "Running stage 'train@auditory+visual+strong'"
            ),
            "git checkout .": "Updated",
            "dvc checkout": "M",
        },
    )
    experiments = clone.run("dvc", "exp", "list", "--name-only").split()
    assert len(experiments) == 2
    clone.run("dvc", "exp", "apply", experiments[0])
    assert "profile local" in (clone.path / "reports/table.md").read_text()


@pytest.mark.slow
@pytest.mark.pages
def test_clusters_and_arrays_of_jobs_do_the_work(clone: Clone) -> None:
    def rate(old: str, new: str) -> Callable[[], None]:
        return partial(clone.replace, "params.yaml", f"rate: {old}", f"rate: {new}")

    def note_seeds() -> None:
        seeds.extend((path, path.stat().st_mtime_ns) for path in models.rglob("seed-*"))

    models, seeds = clone.path / ".avsed" / "models", list[tuple[Path, int]]()
    worker = "--scheduler-file $PWD/scheduler.json --nthreads 1 --memory-limit 0"
    options = "--array=1-8 --gpus=1 --cpus-per-task=16"
    work = f'sbatch {options} --wrap "$PWD/.venv/bin/dask worker {worker}"'
    train = (
        'sbatch --array=1-8 --gpus=1 --wrap "$PWD/.venv/bin/avsed train --shard '
        '\\$SLURM_ARRAY_TASK_ID/8"'
    )
    rate("0.001", "0.002")()
    follow(
        clone,
        "docs/clusters.md",
        {
            "dask scheduler --scheduler-file scheduler.json &": "",
            work: "Submitted",
            "AVSED_SCHEDULER=$PWD/scheduler.json dvc repro": "workers' shares: 100%",
            "dvc repro extract": "up to date",
            train: "Submitted",
            "dvc repro": "Running stage 'train@auditory'",
        },
        before={train: rate("0.002", "0.003"), "dvc repro": note_seeds},
    )
    # The jobs trained two seeds of each variant, and the pipeline used them.
    assert len(seeds) == 3 * len(load_variants(clone.path / "variants.yaml")) * 2
    assert sorted(seeds) == sorted((p, p.stat().st_mtime_ns) for p in models.rglob("seed-*"))
