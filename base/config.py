"""Configuration files as pydantic models: strict types, no unknown keys, and errors that name the place and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    ValidationError,
    ValidationInfo,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .errors import ConfigInvalid

_Model = TypeVar("_Model", bound="ConfigModel")

FOLDER: Final = "folder"
"""The validation context's key for the folder of the file."""


class ConfigModel(BaseModel):
    """A file or a section of one. Types are strict: `true` is no number, and text is never converted.

    A field's `examples` hold what a person writes after `key =`; an error shows the first.
    """

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )


def _from_folder(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"write the path of a file as text, not {_shown(value)}")
    return Path(info.context[FOLDER]) / value if info.context else Path(value)


def _float_of_decimal(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value


Text = Annotated[str, Field(min_length=1, examples=['"…"'])]
Texts = Annotated[tuple[Text, ...], Strict(False), Field(examples=['["…", …]'])]
Flag = Annotated[bool, Field(examples=["true|false"])]
Whole = Annotated[int, Field(ge=1, lt=2**63, examples=["N"])]
"""A whole number of at least 1."""
Real = Annotated[float, BeforeValidator(_float_of_decimal), Field(allow_inf_nan=False, examples=["NUMBER"])]
FilePath = Annotated[Path, PlainValidator(_from_folder), Field(examples=['"…"'])]
"""A path, relative to the folder of the configuration file."""


def checked(model: type[_Model], entries: Mapping[str, Any], path: Path, section: str = "") -> _Model:
    """Validate the entries of a file, or of one of its sections, and return them as a model.

    Raises:
        ConfigInvalid: names the file, the section, the key, the value and what to write.
    """
    try:
        return model.model_validate(dict(entries), context={FOLDER: path.absolute().parent})
    except ValidationError as error:
        found = error.errors(include_url=False)
        # An unknown key comes first: it is often the reason why another one is missing.
        first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
        where, why = _explained(model, first, section)
        raise ConfigInvalid(str(path), f"{where}{why}") from None


def _explained(model: type[BaseModel], error: ErrorDetails, section: str) -> tuple[str, str]:
    """The place of the mistake, and a text that says what is wrong and what to write."""
    sections, keys, owner = _split(model, error["loc"])
    if error["type"] == "value_error" and keys and _section_of(_fields(owner).get(str(keys[0]))) is not None:
        sections, keys = [*sections, *keys], []  # a rule over several keys of a section
    if section:
        sections = [section, *sections]
    key = ".".join(str(part)[:80] for part in keys if isinstance(part, str))
    header = _header(sections)
    where = " ".join(part for part in (header, key) if part)
    why = _why(model, owner, keys, error)
    return (f"{where}: " if where else ""), why


def _split(
    model: type[BaseModel], loc: tuple[int | str, ...]
) -> tuple[list[int | str], list[int | str], type[BaseModel]]:
    """Split a place into its sections and the key below them; also returns the model of the innermost section."""
    sections: list[int | str] = []
    keys = list(loc)
    owner = model
    while len(keys) > 1:
        field = _fields(owner).get(str(keys[0]))
        below = None if field is None else _model_in(field.annotation)
        taken = 2 if below is not None and isinstance(keys[1], int) else 1
        if below is None or len(keys) <= taken:
            break
        sections, keys, owner = sections + keys[:taken], keys[taken:], below
    return sections, keys, owner


def _header(sections: list[int | str]) -> str:
    """The header of a section: `[model]`, or `[[site]] 2` for a repeated section."""
    if not sections:
        return ""
    if isinstance(sections[-1], int):
        return f"[[{sections[-2]}]] {sections[-1] + 1}"
    return f"[{'.'.join(map(str, sections))}]"


def _why(root: type[BaseModel], owner: type[BaseModel], keys: list[int | str], error: ErrorDetails) -> str:
    """What is wrong with a value, and what to write."""
    key, found, limits = str(keys[0]) if keys else "", error["input"], error.get("ctx", {})
    field = _fields(owner).get(key)
    match error["type"]:
        case "extra_forbidden":
            return _unknown(root, owner, key)
        case "missing":
            return f"the key is missing; {_write(key, field)}" if _section_of(field) is None else _write(key, field)
        case "value_error":
            return str(limits["error"])
        case "literal_error":
            return f"it must be {limits['expected']}, not {_shown(found)}"
        case "greater_than_equal":
            return f"it must be at least {limits['ge']:g}, not {_shown(found)}"
        case "less_than_equal":
            return f"it must be at most {limits['le']:g}, not {_shown(found)}"
        case "less_than":
            return f"it must be below {limits['lt']:,}, not {_shown(found)}"
        case "greater_than":
            return f"it must be above {limits['gt']:g}, not {_shown(found)}"
        case "too_long":
            return f"the list may have at most {limits['max_length']:,} entries, not {len(found):,}"
        case "too_short":
            return f"the list is too short; {_write(key, field)}"
    return f"{_write(key, field)}, not {_shown(found)}"


def _unknown(root: type[BaseModel], owner: type[BaseModel], key: str) -> str:
    own = list(_fields(owner))
    close = difflib.get_close_matches(key, own, 1)
    elsewhere = {name: header for header, model in _sections(root, "") for name in _fields(model)}
    if not close and (other := difflib.get_close_matches(key, list(elsewhere), 1)):
        close = [f"{elsewhere[other[0]]} {other[0]}".strip()]
    meant = f"; did you mean {close[0]}?" if close else "."
    return f"unknown key{meant} Known are {', '.join(own)}"


def _write(key: str, field: FieldInfo | None) -> str:
    section = _section_of(field)
    if section is not None:
        return f"write a section {section.format(key)}"
    examples = None if field is None else field.examples or _examples_in(field.annotation)
    return f"write {key} = {examples[0] if examples else '…'}"


def _section_of(field: FieldInfo | None) -> str | None:
    """The form of a section's header; None if the field is no section."""
    if field is None or _model_in(field.annotation) is None:
        return None
    return "[[{}]]" if _is_repeated(field.annotation) else "[{}]"


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by their names in the file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _sections(model: type[BaseModel], header: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield header, model
    for name, field in _fields(model).items():
        below = _model_in(field.annotation)
        if below is not None:
            yield from _sections(below, f"[{name}]")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a section's type: itself, optional, or repeated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one)) is not None), None)


def _is_repeated(annotation: Any) -> bool:
    return any(one is Ellipsis for one in get_args(annotation))


def _examples_in(annotation: Any) -> list[Any] | None:
    """The examples of an optional type."""
    for one in get_args(annotation):
        if isinstance(one, FieldInfo) and one.examples:
            return one.examples
        if (found := _examples_in(one)) is not None:
            return found
    return None


def _shown(value: object) -> str:
    """A value as the file spells it, cut to 80 characters."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "a section"
        case str():
            return repr(value[:80])
    return str(value)[:80]
