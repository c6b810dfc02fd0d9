"""Compose a checked configuration from overrides such as `fleet=1m view.k=20`. Hydra composes. This module turns its errors
into one line, with the nearest valid name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deployment.errors import UsageError

from .schema import CHOICES, GROUPS, PATHS, LabConfig, RayLauncher, register, settings

CONF: Final = Path(__file__).parents[1] / "conf"
MAX_RUNS: Final = 10_000
_VIEWS_FILE: Final = re.compile(r"(?P<path>.*\.py)(?::(?P<name>[^/]*))?")
_LAUNCHER: Final = "hydra/launcher"
_MISTYPED: Final = re.compile(r"Value '(?P<value>.*)' of type '\w+' could not be converted to (?P<kind>Integer|Float)")
_KINDS: Final = {"Integer": "a whole number", "Float": "a number"}
_LIST_ALL: Final = "`covey lab list` shows all"


@dataclass(frozen=True)
class Resolved:
    """A composed and typed configuration.

    Attributes:
        overrides: its overrides, with absolute paths of files.
        tree: the whole configuration as plain data.
        ray: where Ray runs the shards; None: processes of this machine run them.
    """

    overrides: tuple[str, ...]
    config: LabConfig
    tree: dict[str, Any]
    ray: RayLauncher | None


class Composer:
    """Composes configurations. `composer` makes it."""

    def __init__(self) -> None:
        self._parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())

    def expand(self, overrides: Sequence[str]) -> list[tuple[str, ...]]:
        """Return one list of overrides for each combination of the swept values; the last setting varies fastest.

        Raises:
            UsageError: an override is invalid, or the sweep has too many runs.
        """
        found: list[tuple[str, ...]] = [()]
        for override in map(self._parse, overrides):
            values = self._values(override)
            if len(found) * len(values) > MAX_RUNS:
                raise UsageError(f"the sweep has more than {MAX_RUNS:,} runs: use fewer values")
            found = [(*before, value) for before in found for value in values]
        return found

    def sweeps(self, override: str) -> bool:
        """Return whether an override names several values."""
        return bool(self._parse(override).is_sweep_override())

    def compose(self, overrides: Sequence[str]) -> Resolved:
        """Compose the configuration of these overrides. The later of two overrides of one setting counts.

        Raises:
            UsageError: a group, choice or setting does not exist, a value has the wrong type, or a value is missing.
        """
        asked = _last_of_each(self._split_view(_last_of_each(overrides)))
        of_launcher = [text for text in asked if text.startswith(("hydra/", "hydra."))]
        of_run = {text: self._parse(text) for text in asked if text not in of_launcher}
        groups = [text for text, one in of_run.items() if one.key_or_group in GROUPS]
        for text in groups:
            _require_choice(text, of_run[text])
            if of_run[text].value() is None:  # experiment=null, which Hydra does not accept as an override
                del of_run[text]
        try:
            own = _composed(of_run)
        except UsageError:
            known = list(_keys(_composed(text for text in groups if text in of_run)))
            for text, one in of_run.items():
                _require_setting(text, one.key_or_group, known)
            raise
        return _resolved(asked, own, self._ray(of_launcher))

    def _ray(self, overrides: Sequence[str]) -> RayLauncher | None:
        """Return where Ray runs the shards; None without Ray."""
        parsed = {text: self._parse(text) for text in overrides}
        chosen = [one.value() for one in parsed.values() if one.key_or_group == _LAUNCHER]
        for text, one in parsed.items():
            if one.key_or_group == _LAUNCHER:
                _require_choice(text, one)
            else:
                known = [f"hydra.launcher.{one.name}" for one in settings(RayLauncher)] if chosen else []
                _require_setting(text, one.key_or_group, [*known, _LAUNCHER])
        if not chosen:
            return None
        launcher = _composed(overrides, with_hydra=True).hydra.launcher
        return cast(RayLauncher, OmegaConf.to_object(launcher))

    def _parse(self, text: str) -> Override:
        try:
            (override,) = self._parser.parse_overrides([text])
        except HydraException as error:
            first = str(error).strip().splitlines()[0]
            raise UsageError(
                f"{text!r} is no override, such as view.k=20. Quote special characters ({first})"
            ) from None
        if override.is_add() or override.is_force_add() or override.is_delete() or override.package is not None:
            raise UsageError(f"{text}: settings are set, not added or deleted. Write {override.key_or_group}=…")
        return override

    def _values(self, override: Override) -> list[str]:
        text = override.input_line or ""
        if not override.is_sweep_override():
            return [text]
        try:
            values = list(override.sweep_string_iterator())
        except HydraException as error:
            raise UsageError(f"{text}: {error}") from None
        if isinstance(override.value(), Glob):
            values = [value for value in values if not value.startswith("_")]  # a registered type, not a file of conf/
        return [f"{override.key_or_group}={value}" for value in values]

    def _split_view(self, overrides: Sequence[str]) -> Iterator[str]:
        """Expand `view=views.py:name` into three overrides, and make paths of files absolute."""
        for text in overrides:
            override = self._parse(text)
            key, value = override.key_or_group, override.value()
            file = _VIEWS_FILE.fullmatch(value) if key == "view" and isinstance(value, str) else None
            if file is not None:
                yield "view=file"
                yield f"view.path={_quoted(str(Path(file['path']).absolute()))}"
                if file["name"] is not None:
                    yield f"view.name={_quoted(file['name'])}"
            elif key in PATHS and isinstance(value, str):
                yield f"{key}={_quoted(str(Path(value).absolute()))}"
            else:
                yield text


@contextmanager
def composer() -> Iterator[Composer]:
    """Start Hydra on the folder `conf/`."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3", job_name="covey lab"):
        yield Composer()


@cache
def choices(group: str) -> dict[str, str]:
    """Return the choices of a group, each with its description of one line."""
    files = sorted((CONF / group).glob("*.yaml"), key=_natural)
    return {one.stem: _first_comment(one) for one in files}


def _first_comment(file: Path) -> str:
    comments = (line.removeprefix("# ") for line in file.read_text(encoding="utf-8").splitlines())
    return next(line for line in comments if not line.startswith("@"))


def nearest(word: str, known: Sequence[str]) -> str:
    """End a sentence with `; did you mean …?` if a known word is similar, otherwise with a full stop."""
    near = difflib.get_close_matches(word, known, 1, 0.6)
    return f"; did you mean {near[0]}?" if near else "."


def _natural(file: Path) -> tuple[object, ...]:
    """Sort key: 1k before 10k before 1m before names."""
    number = re.fullmatch(r"(\d+)([km])", file.stem)
    size = int(number[1]) * {"k": 10**3, "m": 10**6}[number[2]] if number else 10**9
    return size, file.stem


def _last_of_each(overrides: Iterable[str]) -> tuple[str, ...]:
    last: dict[str, str] = {}
    for text in overrides:
        key = text.partition("=")[0]
        last.pop(key, None)
        last[key] = text
    return tuple(last.values())


def _require_choice(text: str, override: Override) -> None:
    group, value, known = override.key_or_group, override.value(), list(choices(override.key_or_group))
    if group == "experiment" and value is None:
        return
    if not isinstance(value, str | int) or str(value) not in known:
        of_view = ", or a file such as views.py:name" if group == "view" else ""
        raise UsageError(f"{text}: no such {group}{nearest(str(value), known)} There are {', '.join(known)}{of_view}")


def _require_setting(text: str, key: str, known: Sequence[str]) -> None:
    if key not in known:
        group = key.partition(".")[0]
        siblings = [one for one in known if one.startswith(f"{group}.")]
        has = f" The chosen {group} has {', '.join(siblings)}" if siblings else f" {_LIST_ALL}"
        raise UsageError(f"{text}: no such setting{nearest(key, [*siblings, *known])}{has}")


def _keys(tree: DictConfig) -> Iterator[str]:
    """Yield the dotted names of all settings."""
    yield from GROUPS
    for name in map(str, tree):
        if isinstance(tree._get_node(name), DictConfig):
            kind = cast(type[Any], OmegaConf.get_type(tree, name))
            yield from (f"{name}.{one.name}" for one in settings(kind))
        else:
            yield name


def _composed(overrides: Iterable[str], *, with_hydra: bool = False) -> DictConfig:
    try:
        return compose("lab", list(overrides), return_hydra_config=with_hydra)
    except (HydraException, OmegaConfBaseException, ValueError) as error:  # ValueError: a number as a group's choice
        raise UsageError(_in_one_line(error)) from None


def _in_one_line(error: BaseException) -> str:
    """Describe an error of Hydra or OmegaConf in one line, with the setting."""
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key, first = getattr(cause, "full_key", None), str(cause).strip().splitlines()[0]
    mistyped = _MISTYPED.fullmatch(first)
    if mistyped is not None:
        return f"{key}={mistyped['value']}: it must be {_KINDS[mistyped['kind']]}"
    if first.endswith("is not Optional"):
        return f"{key}=null: it must have a value"
    return f"{key}: {first}" if key else first


def _resolved(overrides: tuple[str, ...], own: DictConfig, ray: RayLauncher | None) -> Resolved:
    try:
        missing = sorted(OmegaConf.missing_keys(own))
        if missing:
            raise UsageError(f"{missing[0]} is missing: set {missing[0]}=…")
        config = cast(LabConfig, OmegaConf.to_object(own))
        tree = cast(dict[str, Any], OmegaConf.to_container(own, resolve=True))
    except OmegaConfBaseException as error:
        raise UsageError(_in_one_line(error)) from None
    for prefix, part in [("", config), *((f"{name}.", getattr(config, name)) for name in tree)]:
        _require_known_values(prefix, part)
    return Resolved(overrides, config, tree, ray)


def _require_known_values(prefix: str, part: object) -> None:
    """Check the settings that have a fixed list of values."""
    if not hasattr(part, "__dataclass_fields__"):
        return
    for one in settings(type(part)):
        value, allowed = getattr(part, one.name), one.metadata[CHOICES]
        if allowed and value is not None and value not in allowed:
            raise UsageError(f"{prefix}{one.name}={value}: it must be {' or '.join(allowed)}")


def _quoted(value: str) -> str:
    """Quote a text as the value of an override."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a tree to {dotted name: value}."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
