"""Wall time, CPU time and peak memory of `avsed predict` in two checkouts.

    python benchmarks/predict.py OLD NEW --model data/models/spectral --files 1 --repeat 5

OLD and NEW are folders of checkouts. They read the same model, or each its own (`--model OLD_MODEL
NEW_MODEL`): commit 63cb56b has another format. Each command is a process of its own, and the
checkouts take turns. The files are synthesized clips of 10 s.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

N_SCENES = 8  # that are rendered; more files are copies


def render_clips(folder: Path, n_files: int) -> list[Path]:
    """Render clips with sound and images."""
    from avsed.dataset.annotations import Event
    from avsed.sources.demo.render import render_clip
    from avsed.sources.demo.scenes import Scene

    for number in range(min(n_files, N_SCENES)):
        scene = Scene(
            clip_id=f"clip{number:04}",
            duration=10.0,
            events=(Event(onset=2.0 + 0.3 * number, offset=6.0, label="Dog"),),
            seed=number,
            background_level=-30.0,
        )
        render_clip(scene, folder / f"clip{number:04}.mp4")
    paths = [folder / f"clip{number:04}.mp4" for number in range(n_files)]
    for number in range(N_SCENES, n_files):
        shutil.copy(paths[number % N_SCENES], paths[number])
    return paths


def measure(
    checkout: Path, model: Path, paths: list[Path], out: Path
) -> tuple[float, float, float]:
    """Predict files; return wall seconds, CPU seconds and the peak of memory in MB."""
    code = (
        "import resource, sys\n"
        "try:\n"
        "    from avsed.cli import main\n"
        "except ImportError:  # commit 63cb56b\n"
        "    from avsed.command import main\n"
        "try:\n    main()\n"
        "finally:\n"
        "    own = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print(own.ru_maxrss / 1000, file=open(sys.argv[-1] + '/peak.txt', 'w'))\n"
    )
    command = [sys.executable, "-c", code, "predict", *map(str, paths), "--model", str(model)]
    out.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve() / "src")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(
        [*command, "--out", str(out)],
        cwd=checkout,  # commit 63cb56b reads its params.yaml
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, float((out / "peak.txt").read_text())


def main() -> None:
    """Compare two checkouts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", type=Path, nargs=2, metavar="OLD NEW")
    parser.add_argument("--model", type=Path, nargs="+", required=True)
    parser.add_argument("--files", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    models = [model.resolve() for model in arguments.model]
    systems = list(zip(arguments.checkouts, (models[0], models[-1]), strict=True))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = render_clips(folder, arguments.files)
        rows = []
        for turn in range(arguments.repeat + 1):
            row = [
                measure(checkout, model, paths, folder / f"{turn}-{number}")
                for number, (checkout, model) in enumerate(systems)
            ]
            if turn:  # the first is to warm up
                rows.append(row)
    for place, what in enumerate(("wall, s", "CPU, s", "peak, MB")):
        old, new = (statistics.median(row[side][place] for row in rows) for side in (0, 1))
        ratio = statistics.median(row[0][place] / row[1][place] for row in rows)
        print(f"{arguments.files} files, {what}: {old:.2f}, {new:.2f}; ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
