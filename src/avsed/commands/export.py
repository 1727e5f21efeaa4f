"""Write a trained model in formats that need neither avsed nor PyTorch."""

from pathlib import Path

import click

from avsed.commands.options import FILE, FOLDER, quiet_option
from avsed.errors import AvsedError


@click.command("export")
@click.argument("model", type=FOLDER, help="Models of a variant, such as data/models/spectral.")
@click.option("--onnx", type=FILE, required=True, help="ONNX file to write.")
@click.option("--seed", type=int, help="Export this seed only; default: the average of all.")
@click.option(
    "--waveform",
    is_flag=True,
    help="The input is the waveform, not spectral features.",
)
@quiet_option
def export_model(model: Path, onnx: Path, seed: int | None, waveform: bool, quiet: bool) -> None:
    """Write a trained model as an ONNX file.

    The scores of the file are compared with those of PyTorch before it is written.
    """
    if onnx.is_dir():
        raise AvsedError(f"{onnx}: is a folder; name a file in it")
    from avsed.export.onnx_file import write_onnx

    difference = write_onnx(model, onnx, seed=seed, from_waveform=waveform)
    print(f"{onnx}: its scores differ from PyTorch's by {difference:.0e} at most")
