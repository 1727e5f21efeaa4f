"""Write a trained model in formats that need neither avsed nor PyTorch."""

from pathlib import Path

import click

from avsed.commands.options import FILE, FOLDER, quiet_option
from avsed.errors import AvsedError


@click.command("export")
@click.argument("model", type=FOLDER, help="Models of a variant, such as data/models/spectral.")
@click.option("--onnx", type=FILE, help="ONNX file to write.")
@click.option("--html", type=FILE, help="Page to write that runs the model in a browser.")
@click.option("--seed", type=int, help="Export this seed only; default: the average of all.")
@click.option(
    "--waveform",
    is_flag=True,
    help="With --onnx: the input is the waveform, not spectral features.",
)
@quiet_option
def export_model(
    model: Path, onnx: Path | None, html: Path | None, seed: int | None, waveform: bool, quiet: bool
) -> None:
    """Write a trained model as an ONNX file or as a page.

    The scores of the file are compared with those of PyTorch before it is written.
    """
    if not onnx and not html:
        raise AvsedError("--onnx, --html: nothing to write; give one of them")
    for path in filter(None, (onnx, html)):
        if path.is_dir():
            raise AvsedError(f"{path}: is a folder; name a file in it")
    if onnx:
        from avsed.export.onnx_file import write_onnx

        difference = write_onnx(model, onnx, seed=seed, from_waveform=waveform)
        print(f"{onnx}: its scores differ from PyTorch's by {difference:.0e} at most")
    if html:
        from avsed.export.page import write_page

        difference = write_page(model, html, seed=seed)
        print(f"{html}: its model's scores differ from PyTorch's by {difference:.0e} at most")
