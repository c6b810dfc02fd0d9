"""The configuration of `covey lab report`: a YAML file, parsed once and checked against the range of each number.

`conf/report/` holds the named files. A missing or unknown key is an error, so a misspelt key cannot change an experiment
unnoticed.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_type_hints

from deployment.errors import ItemMissing, UsageError
from simulations.attacks.attack import Setting
from simulations.attacks.texts import TEXTS
from simulations.errors import ReportConfigInvalid, SettingRefused
from simulations.reports.comparison.protections import PROTECTIONS

FOLDER: Final = Path(__file__).parents[2] / "conf" / "report"
MAX_BYTES: Final = 2**16
MAX_POINTS: Final = 32
"""The most entries of a list."""

T = TypeVar("T")

_MOST: Final = {
    "clients": 10**6,
    "keys": 10**5,
    "days": 366,
    "repeats": 100,
    "trials": 10**6,
    "slots": 10**6,
    "slots_clients": 10**5,
    "prio3_up_to": 10**6,
    "k": 10**6,
    "seed": 2**31,
}
"""The largest whole numbers, by name. The smallest is 1, or 0 for `seed` and `prio3_up_to`."""
_FROM_ZERO: Final = frozenset({"seed", "prio3_up_to"})


@dataclass(frozen=True)
class Utility:
    """Measure the errors of a collection at several ρ of a client-day."""

    rhos: tuple[float, ...]
    clients: int
    keys: int
    days: int
    repeats: int


@dataclass(frozen=True)
class Attacks:
    """Run these attacks at these ρ; `simulations.attacks.attack.Setting` describes the other fields."""

    names: tuple[str, ...]
    rhos: tuple[float, ...]
    clients: int
    k: int
    trials: int


@dataclass(frozen=True)
class Clients:
    """Measure the errors of a collection at one ρ, with several numbers of clients."""

    rho: float
    clients: tuple[int, ...]
    keys: int
    days: int
    repeats: int


@dataclass(frozen=True)
class CollectionCosts:
    """Measure the cost of collections.

    Attributes:
        clients: sizes of fleets that run through a whole collection.
        prio3_up_to: the largest fleet that runs with proofs.
        slots: lengths of reports, of `slots_clients` clients, under the protections `slots_names`.
    """

    clients: tuple[int, ...]
    prio3_up_to: int
    slots: tuple[int, ...]
    slots_clients: int
    slots_names: tuple[str, ...]


@dataclass(frozen=True)
class Protections:
    """Measure one pane of the report's own view under these protections of `covey lab compare`."""

    names: tuple[str, ...]
    clients: int
    keys: int


@dataclass(frozen=True)
class ReportConfig:
    """A set of experiments. A null part is left out."""

    title: str
    delta: float
    seed: int
    utility: Utility | None
    attacks: Attacks | None
    clients: Clients | None
    cost: CollectionCosts | None
    protections: Protections | None


def read_report_config(name: str) -> ReportConfig:
    """Read the set of this name, or a `.yaml` file.

    Raises:
        ItemMissing: there is no such set or file. ReportConfigInvalid: the file is not a valid set.
        UsageError: PyYAML is not installed.
    """
    path = Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"
    named = {file.stem: file for file in sorted(FOLDER.glob("*.yaml"))}
    if not name.endswith(".yaml") and name not in named:  # a name cannot lead out of the folder
        raise ItemMissing(f"there is no report {name[:80]!r}; choose {', '.join(named)}, or give a .yaml file")
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ItemMissing(f"the file {path} does not exist") from None
    return parse(path, text)


def parse(path: Path, text: bytes) -> ReportConfig:
    """Parse the set that a file describes. Raises ReportConfigInvalid; UsageError: PyYAML is not installed."""
    try:
        import yaml  # type: ignore[import-untyped]  # PyYAML has no types of its own
    except ImportError:
        raise UsageError("a report needs PyYAML: pip install 'covey[mpc]'") from None
    if len(text) > MAX_BYTES:
        raise ReportConfigInvalid(path, f"the file has more than {MAX_BYTES:,} bytes")
    try:
        loaded = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ReportConfigInvalid(path, " ".join(str(error).split())) from None
    config = _made(ReportConfig, loaded, lambda why: ReportConfigInvalid(path, why), "")
    if (why := _impossible(config)) is not None:
        raise ReportConfigInvalid(path, why)
    return config


def _impossible(config: ReportConfig) -> str | None:
    """Return why the experiments cannot run; None if they can."""
    attacks, cost, protections = config.attacks, config.cost, config.protections
    for where, names, known in (
        ("attacks.names", () if attacks is None else attacks.names, tuple(TEXTS)),
        ("cost.slots_names", () if cost is None else cost.slots_names, tuple(PROTECTIONS)),
        ("protections.names", () if protections is None else protections.names, tuple(PROTECTIONS)),
    ):
        if unknown := [name for name in names if name not in known]:
            return f"{where}: {unknown[0]!r} is unknown; choose from {', '.join(known)}"
    if config.delta >= 1:
        return f"delta must be below 1, got {config.delta}"
    for rho in () if attacks is None else attacks.rhos:
        given = {name: getattr(attacks, name) for name in ("clients", "k", "trials")}
        try:
            Setting(**given, rho=rho, delta=config.delta, seed=config.seed)
        except SettingRefused as error:
            return f"attacks: {error}"
    return None


def _made(kind: type[T], given: Any, refused: Callable[[str], Exception], where: str) -> T:
    """Make a dataclass of the mapping under `where` in the file."""
    hints = get_type_hints(kind)
    if not isinstance(given, dict):
        raise refused(f"{where or 'the file'} must be a mapping of {', '.join(hints)}")
    for name in given:
        if name not in hints:
            raise refused(f"{where}{name} is unknown; the keys are {', '.join(hints)}")
    for name in hints:
        if name not in given:
            raise refused(f"{where}{name} is missing")
    return kind(**{name: _value(name, hints[name], given[name], refused, where) for name in hints})


def _value(name: str, hint: Any, given: Any, refused: Callable[[str], Exception], where: str) -> Any:
    if isinstance(hint, types.UnionType):
        return None if given is None else _made(get_args(hint)[0], given, refused, f"{where}{name}.")
    if args := get_args(hint):
        if not isinstance(given, list) or not 1 <= len(given) <= MAX_POINTS:
            raise refused(f"{where}{name} must be a list of 1 to {MAX_POINTS} entries")
        values = tuple(_value(name, args[0], one, refused, where) for one in given)
        if len(set(values)) < len(values):
            raise refused(f"{where}{name} has the same entry twice")
        return values if args[0] is str else tuple(sorted(values))
    if hint is str:
        if not isinstance(given, str) or not 1 <= len(given) <= 200:
            raise refused(f"{where}{name} must be a text of 1 to 200 characters")
        return given
    if hint is int:
        least, most = 0 if name in _FROM_ZERO else 1, _MOST[name]
        if type(given) is not int or not least <= given <= most:
            raise refused(f"{where}{name} must be a whole number from {least} to {most:,}, got {given!r}")
        return given
    if type(given) not in (int, float) or not (math.isfinite(given) and 0 < given <= 100):
        raise refused(f"{where}{name} must be a number above 0 and at most 100, got {given!r}")
    return float(given)
