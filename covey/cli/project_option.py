"""The option that names a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

ProjectOption: TypeAlias = Annotated[Path, typer.Option(metavar="DIR", help="The project's directory. Default: here.")]
