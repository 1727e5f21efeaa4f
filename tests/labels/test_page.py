"""The commands of docs/import.md, each run on files of the formats that it names."""

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from avsed.dataset.ffmpeg import run_ffmpeg
from tests.conftest import ROOT, run_avsed
from tests.helpers.cloned import copy_repository
from tests.labels import files
from tests.test_docs import commands

FILES = {
    "street.txt": files.AUDACITY,
    "wood.Table.1.selections.txt": files.RAVEN,
    "talk.TextGrid": files.TEXTGRID,
    "notes.eaf": files.EAF,
    "soundscapes/one.jams": files.SCAPER,
    "soundscapes/two.jams": files.JAMS,
    "project.json": files.LABEL_STUDIO,
    "dog.ogg.strong.tsv": "filename\tonset\toffset\tevent_label\ndog.ogg\t0.500\t1.250\tDog\n",
    "DESED/weak.tsv": files.DESED_WEAK,
    "DESED/unlabel_in_domain.tsv": files.DESED_UNLABELED,
    "DESED/soundscapes.tsv": files.DESED_STRONG,
    "DESED/validation.tsv": "filename\tonset\toffset\tevent_label\nv.wav\t0.5\t1\tDog\n",
    "DESED/public.tsv": "filename\tonset\toffset\tevent_label\nt.wav\t0.5\t1\tDog\n",
    "balanced_train_segments.csv": files.AUDIOSET.replace("/m/unknown", "/m/09x0r"),
    "class_labels_indices.csv": "index,mid,display_name\n"
    + "".join(f'0,{line.split(chr(9))[0]},"a"\n' for line in files.MID_NAMES.splitlines()),
    "audioset_train_strong.tsv": files.AUDIOSET_STRONG,
    "mid_to_display_name.tsv": files.MID_NAMES,
    "vggsound.csv": files.VGGSOUND,
    "FSD50K.ground_truth/dev.csv": files.FSD50K_DEV,
    "FSD50K.ground_truth/eval.csv": files.FSD50K_EVAL,
    "esc50.csv": files.ESC50 + "4-1-A-1.wav,4,1,rooster,False,1,A\n",
    "UrbanSound8K.csv": files.URBANSOUND8K
    + "".join(f"{fold}.wav,1,0,4,1,{fold},2,siren\n" for fold in (8, 9)),
}
LISTS = {
    "lists": {"strong", "test", "unlabeled", "validation"},
    "desed": {"strong", "test", "unlabeled", "validation", "weak"},
    "audioset": {"strong", "weak"},
    "vggsound": {"test", "weak"},
    "fsd50k": {"test", "validation", "weak"},
    "esc50": {"test", "validation", "weak"},
    "urbansound8k": {"test", "validation", "weak"},
}


@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(content)
    for folder, names in {
        "videos": ["b0RFKhbpFJA_30000"],
        "recordings": [
            "street",
            "wood",
            "talk",
            "main street",
            "one",
            "two",
            "street 1",
            "c",
            "dog",
        ],
    }.items():
        Path(folder).mkdir()
        for name in names:
            soundfile.write(f"{folder}/{name}.wav", np.zeros(12 * 8000, np.int16), 8000)
    page = commands(ROOT / "docs" / "import.md")
    *imports, cut, check = filter(None, page)  # blank lines separate data sets
    for command in imports:
        words = shlex.split(command)
        expanded = [
            name
            for word in words[1:]
            for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
        ]
        assert run_avsed(monkeypatch, *expanded) == 0, command
        capsys.readouterr()
    for folder, expected in LISTS.items():
        assert {path.stem for path in Path(folder).glob("*.tsv")} == expected
    assert "b0RFKhbpFJA_30000.wav\t4.753" in Path("audioset/strong.tsv").read_text()

    # The page's own lists have no weak and unlabeled clips.
    Path("lists/weak.tsv").write_text("filename\tevent_labels\nw.wav\tDog\n")
    Path("lists/unlabeled.tsv").write_text("filename\nu.wav\n")
    for name in ("w", "u"):
        soundfile.write(f"recordings/{name}.wav", np.zeros(2 * 8000, np.int16), 8000)
    assert run_avsed(monkeypatch, *cut.split()[1:]) == 0
    capsys.readouterr()
    assert run_avsed(monkeypatch, *check.split()[1:]) == 0
    assert "\n0 errors" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.pages
def test_imported_and_cut_recordings_are_trained_on(tmp_path: Path) -> None:
    clone = copy_repository(tmp_path)
    recordings = clone.path / "recordings"
    recordings.mkdir()
    film = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=21", "-f", "lavfi", "-i", "sine=d=21")
    for name in ("t", "u", "v", "w"):
        track = "1.5\t3\tDog\n9\t12\tCat\n19\t20.5\tSpeech\n"
        (clone.path / f"{name}.txt").write_text(track)
        run_ffmpeg([*film, "-c:v", "libx264", "-c:a", "aac", str(recordings / f"{name}.mp4")])
    short = [*film, "-t", "8", "-c:v", "libx264", "-c:a", "aac", str(recordings / "w.mp4")]
    run_ffmpeg(["-y", *short])
    avsed = (sys.executable, "-m", "avsed.cli", "metadata")
    for name, split in {
        "t": "test",
        "u": "unlabeled",
        "v": "validation",
        "w": "weak",
    }.items():
        clone.run(*avsed, "import", f"{name}.txt", "--as", split, "--out", "lists")
    clone.run(*avsed, "cut", "lists", "recordings", "--out", "data/local/cut")
    for key in ("media", "metadata"):
        clone.replace("params.yaml", f"{key}_dir: .*", f"{key}_dir: data/local/cut/{key}")
    small = {
        r"classes: \[.*\]": "classes: [Cat, Dog, Speech]",
        "steps: 5000": "steps: 2",
        "n_weak: 24": "n_weak: 1",
        "n_unlabeled: 24": "n_unlabeled: 1",
        "n_seeds: 5": "n_seeds: 2",
    }
    for pattern, text in small.items():
        clone.replace("profiles/local.yaml", pattern, text)
    clone.commit()
    clone.run("dvc", "exp", "run", "-S", "profile=local", "evaluate@spectral+visual")
    clips = (clone.path / "data/clips.csv").read_text().splitlines()[1:]
    assert len(clips) == 10
    assert all(",ok,," in row for row in clips)
    counts = json.loads((clone.path / "metrics" / "clips.json").read_text())
    assert counts["test"]["available"] == 3
