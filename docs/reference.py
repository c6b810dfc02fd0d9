"""Writes the pages of reference, `codes.md` and `views.md`, from the code: `python -m docs.reference`."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

import base.errors
import deployment.coordinator.site_results
import featurestore.define.decoded
import federation.commitment
from base.errors import CoveyError
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import KINDS, ViewFeature
from featurestore.define.privacy import Bounds, Privacy
from federation.refusal_codes import RefusalCode

FOLDER: Final = Path(__file__).parent
ROOMS: Final = (
    "base", "crypto", "featurestore", "federation", "edge_client", "aggregator", "deployment", "training", "simulations",
)  # fmt: skip
_GENERATED: Final = "<!-- Written by `make reference` from the code; do not edit. -->"
_PARAMETER: Final = re.compile(r"(\w+(?:, \w+)*): (.+)", re.DOTALL)


def codes_page() -> str:
    """All codes: exit codes, errors, refusals, outcomes, states of sites, statuses of values."""
    return _page(
        "Codes",
        "Every code that Covey prints or sends. A code is a stable word for programs; it survives a rename of its class.",
        "## Exit codes of commands",
        _table(("code", "name", "meaning"), _exit_codes()),
        "## Refusals of plans",
        "Sites, ledgers and aggregators refuse a plan with one of these codes. None of them depends on events.",
        _table(("code", "meaning", "mend"), ((f"`{code}`", code.sentence, code.mend) for code in RefusalCode)),
        "## Outcomes of collections",
        "The collection of a pane ends with one of these.",
        _table(("code", "meaning"), _members(federation.commitment, "Outcome")),
        "## States of sites",
        "`covey run` and the coordinator say for each site what became of it.",
        _table(("state", "meaning"), _members(deployment.coordinator.site_results, "SiteState", lower=True)),
        "## Statuses of values",
        "The `__status` of a value says whether it is usable. [features.md](features.md) has the conditions.",
        _table(("status", "number", "meaning"), _statuses()),
        "## Errors",
        "Each error has a code and the exit code of the command that fails with it. Classes are in the room's `errors.py`.",
        *(part for room in ROOMS for part in _errors(room)),
    )


def views_page() -> str:
    """Every parameter of a view, its entity, bounds and price, and of each kind of feature."""
    return _page(
        "Views",
        "Every parameter of a feature view. [quickstart.md](quickstart.md) shows a whole view, [features.md](features.md) says"
        " what the features mean.",
        *(part for kind in (FeatureView, Entity, Bounds, Privacy) for part in _parameters("##", kind)),
        "## Kinds of features",
        *(part for kind in kinds_of_features() for part in _parameters("###", kind)),
    )


PAGES: Final[Mapping[str, Callable[[], str]]] = {"codes.md": codes_page, "views.md": views_page}


def kinds_of_features() -> list[type[ViewFeature]]:
    """The kinds of features that Covey brings, by name."""
    kinds = (kind for kind in KINDS.values() if kind.__module__.startswith("featurestore."))
    return sorted(kinds, key=lambda kind: kind.__name__)


def parameters_of(kind: type) -> Mapping[str, str]:
    """The meaning of each parameter that the docstring of a class has under `Args:`."""
    found: dict[str, str] = {}
    for section in re.findall(r"^Args:\n((?:    .*\n?|\n)+)", inspect.getdoc(kind) or "", flags=re.MULTILINE):
        for item in re.split(r"^    (?=\S)", section, flags=re.MULTILINE):
            if match := _PARAMETER.match(item):
                found |= dict.fromkeys(match[1].split(", "), " ".join(match[2].split()))
    return found


def errors_of(room: str) -> Iterator[type[CoveyError]]:
    """The classes of errors of a room, in the order of its `errors.py`."""
    for value in vars(import_module(f"{room}.errors")).values():
        if inspect.isclass(value) and issubclass(value, CoveyError) and value.__module__ == f"{room}.errors":
            yield value


def _page(title: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", _GENERATED, *parts)) + "\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _exit_codes() -> Iterator[tuple[str, str, str]]:
    for name, meaning in _documented(base.errors, None).items():
        yield str(getattr(base.errors, name)), f"`{name}`", meaning


def _members(module: ModuleType, name: str, *, lower: bool = False) -> Iterator[tuple[str, str]]:
    for member, meaning in _documented(module, name).items():
        yield f"`{member.lower() if lower else member}`", meaning


def _statuses() -> Iterator[tuple[str, str, str]]:
    for name, meaning in _documented(featurestore.define.decoded, "Status").items():
        yield f"`{name}`", str(featurestore.define.decoded.Status[name].value), meaning


def _errors(room: str) -> Iterator[str]:
    yield f"### {room}"
    rows = ((f"`{one.code}`", str(one.exit_code), f"`{one.__name__}`", _summary(one)) for one in errors_of(room))
    yield _table(("code", "exit", "class", "meaning"), rows)


def _parameters(level: str, kind: type) -> Iterator[str]:
    yield f"{level} {kind.__name__}"
    yield re.split(r"^(?:Args|Attributes|Raises):$", inspect.getdoc(kind) or "", flags=re.MULTILINE)[0].strip()
    meanings = parameters_of(kind)
    yield _table(
        ("parameter", "type", "default", "meaning"),
        (
            (
                f"`{one.name}`",
                f"`{one.annotation}`",
                "required" if one.default is one.empty else f"`{one.default!r}`",
                meanings[one.name],
            )
            for one in inspect.signature(kind).parameters.values()
        ),
    )


def _summary(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())


def _documented(module: ModuleType, kind: str | None) -> dict[str, str]:
    """The public constants of a module, or the members of a class of it, each with the docstring below it."""
    body: list[ast.stmt] = ast.parse(inspect.getsource(module)).body
    if kind is not None:
        (body,) = [one.body for one in body if isinstance(one, ast.ClassDef) and one.name == kind]
    found = {}
    for one, after in zip(body, [*body[1:], None], strict=True):
        targets = one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AnnAssign) else []
        text = after.value if isinstance(after, ast.Expr) else None
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper() and not target.id.startswith("_"):
                said = text.value if isinstance(text, ast.Constant) else ""
                found[target.id] = " ".join(str(said).split())
    return found


if __name__ == "__main__":
    for _name, _write in PAGES.items():
        (FOLDER / _name).write_text(_write(), encoding="utf-8")
