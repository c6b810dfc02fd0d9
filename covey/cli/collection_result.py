"""How a command ends that has collected once."""

from __future__ import annotations

import json
from typing import Any

import typer


def show(result: dict[str, Any], *, as_json: bool) -> int:
    """Print the result of a collection; returns the exit code."""
    from deployment.printing.collection import exit_code_of, print_collection

    if as_json:
        typer.echo(json.dumps(result))
    else:
        print_collection(result)
    return exit_code_of(result)
