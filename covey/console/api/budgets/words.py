"""The commands that show the same as the place of budgets."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from covey.console.api.numbers import number_text
from covey.console.commands import command
from deployment.project.project import Project

from .what_if_forms import WhatIfRequest


def what_if_command(directory: Path, asked: WhatIfRequest, views_file: Path | None) -> str:
    """The command that prices the same views.

    Args:
        views_file: that defines the views; None: they are registered.
    """
    changes = [
        (option, f"{one.view}={value if isinstance(value, str) else number_text(value)}")
        for one in asked.views
        for option, value in (("--rho", one.rho), ("--epsilon", one.epsilon), ("--pane", one.pane))
        if value is not None
    ]
    file = () if views_file is None else ("--views", str(views_file))
    limit = () if asked.epsilon is None else ("--limit", number_text(asked.epsilon))
    names, days = [one.view for one in asked.views], ("--days", str(asked.days))
    return command("covey", "ledger", "what-if", *names, *file, *chain(*changes), *days, *limit, *_where(directory))


def outlook_command(directory: Path, owner: str, epsilon: float) -> str:
    """The command that says how long the budget of a ledger lasts."""
    limit = number_text(epsilon)
    return command("covey", "ledger", "show", "--ledger", owner, "--limit", limit, *_where(directory))


def _where(directory: Path) -> tuple[str, str]:
    return ("--store" if Project.find(directory) is None else "--project"), str(directory)
