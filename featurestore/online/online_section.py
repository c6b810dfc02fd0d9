"""The section `[online]` of a covey.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, PlainValidator

from base.config import ConfigModel, checked
from base.errors import ConfigInvalid

from .settings import TABLE, OnlineSettings, OnlineUrl


def _url(value: object) -> OnlineUrl:
    return OnlineUrl.of(value if isinstance(value, str) else "")  # its error does not repeat the password


class OnlineSection(ConfigModel):
    """The fields of `OnlineSettings`."""

    block_mib: Annotated[int, Field(ge=0, le=2**20, examples=["MIB"])] = OnlineSettings.block_mib
    url: Annotated[OnlineUrl, PlainValidator(_url), Field(examples=['"redis://…"'])] | None = None


def read_section(section: object, path: Path) -> OnlineSettings:
    """The settings of a section. Raises ConfigInvalid."""
    if not isinstance(section, dict):
        raise ConfigInvalid(str(path), f"{TABLE}: write a section [{TABLE}]")
    return OnlineSettings(**dict(checked(OnlineSection, section, path, TABLE)))
