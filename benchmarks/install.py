"""What a device needs: the size of an installation for a site and a reader, beside Flower's alone, each in a new environment.

    python -m benchmarks.install

It installs from the package index, so it needs a network, and takes some minutes. `light_mb` is what `pip install covey` brings
without bytecode, `light_with_bytecode_mb` with it, `flower_mb` what `pip install flwr` brings, which is a part of it. pip itself is
not counted.
"""

from __future__ import annotations

import compileall
import subprocess
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from simulations.measuring import print_figures

ROOT: Final = Path(__file__).resolve().parents[1]
_PIP: Final = ("pip", "setuptools", "wheel")


def installed(scratch: Path, *wanted: str) -> Path:
    """The packages of a new environment with these requirements and what they bring. SystemExit: pip failed."""
    folder = scratch / wanted[0].rpartition("/")[2]
    venv.create(folder, with_pip=True)
    words = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile", *wanted]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"pip: {done.stderr[-2_000:]}")
    return next(folder.glob("lib/python*/site-packages"))


def _files(packages: Path) -> Iterator[Path]:
    for entry in packages.iterdir():
        if not entry.name.startswith(_PIP):
            yield from (one for one in (entry.rglob("*") if entry.is_dir() else [entry]) if one.is_file())


def size_mb(packages: Path, *, bytecode: bool) -> float:
    """The size of the packages, with or without bytecode."""
    return sum(one.stat().st_size for one in _files(packages) if bytecode or one.suffix != ".pyc") / 1e6


def count(packages: Path) -> int:
    """How many packages there are."""
    return sum(not one.name.startswith(_PIP) for one in packages.glob("*.dist-info"))


def main() -> None:
    """Print the table and, last, one JSON object."""
    with tempfile.TemporaryDirectory(prefix="covey-install-") as name:
        light, flower = (installed(Path(name), one) for one in (str(ROOT), "flwr"))
        figures: dict[str, float | int] = {
            "light_mb": round(size_mb(light, bytecode=False)),
            "light_packages": count(light),
            "flower_mb": round(size_mb(flower, bytecode=False)),
            "flower_packages": count(flower),
        }
        compileall.compile_dir(light, quiet=2, workers=0)
        figures["light_with_bytecode_mb"] = round(size_mb(light, bytecode=True))
    table = Table("installation", "MB", "packages", title="without bytecode")
    table.add_row("site and reader", str(figures["light_mb"]), str(figures["light_packages"]))
    table.add_row("Flower alone", str(figures["flower_mb"]), str(figures["flower_packages"]))
    Console().print(table)
    print_figures(figures)


if __name__ == "__main__":
    main()
