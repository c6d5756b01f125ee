"""`make check-gpu`: all tests that need a CUDA device, and `recloop bench` on it, in under five minutes.

Exit code 0: CUDA holds. 1: it does not. 2: nothing was tried, since there is no such device.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from tests.gpu.verdict import judge, read_figures, read_tests
from udfs.scoring.device import DeviceMissingError, open_device
from udfs.scoring.scoring_rules import DeviceRules

_LIMIT_S = 285.0
_STOPPED_S = 60.0
_SIZES = ("quick", "smallest")


def main(
    device: Annotated[str, typer.Option(help="cuda, or a certain one, cuda:1; cpu tries the script alone.")] = "cuda",
    out: Annotated[Path, typer.Option(help="Folder of what is reported; replaced.")] = Path(".recloop/check-gpu"),
    size: Annotated[str, typer.Option(help=f"The bench's: {' or '.join(_SIZES)}.")] = _SIZES[0],
) -> None:
    """Try what needs a GPU, and print a verdict."""
    began = time.monotonic()
    try:
        open_device(DeviceRules(name=device, missing="refuse", precision="float32"))
    except DeviceMissingError as error:
        typer.echo(f"NOT TRIED: {error}")
        raise typer.Exit(2) from None
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    ends = began + _LIMIT_S
    _run(ends, "pytest", "-q", "-m", "gpu", "--junit-xml", str(out / "tests.xml"))
    parts = ("--only", "model", "--only", "job", "--size", size)
    figures = out / "figures.json"
    _run(ends, "job.cli", "bench", "--device", device, *parts, "--out", str(out / "bench"), "--json", str(figures))
    verdict = judge(read_tests(out / "tests.xml"), read_figures(figures))
    typer.echo(f"\n{device} {'HOLDS' if verdict.holds else 'DOES NOT HOLD'}, in {time.monotonic() - began:.0f} s")
    for line in (*verdict.seen, *verdict.problems):
        typer.echo(f"- {line}")
    raise typer.Exit(0 if verdict.holds else 1)


def _run(ends: float, module: str, *arguments: str) -> None:
    """Run a module, and end it when the time is over; what it reports is in its files."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments])
    try:
        process.wait(max(0.0, ends - time.monotonic()))
    except subprocess.TimeoutExpired:
        typer.echo(f"{module} is ended: the time is over")
        process.terminate()
        process.wait(_STOPPED_S)
    except KeyboardInterrupt:  # the module got it too, and stops what it started
        process.wait(_STOPPED_S)
        raise


if __name__ == "__main__":
    typer.run(main)
