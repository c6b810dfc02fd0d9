"""Sources of streams, made by the entries of a site's file."""

from __future__ import annotations

from pathlib import Path

from base.config import checked
from base.toml import parse_toml
from edge_client.sources.entries import SourceEntries
from edge_client.sources.parsing import source_of
from edge_client.sources.source import KafkaSource, Source

COLUMNS = 'who = "text"\nat = {type = "time", unit = "us"}\nn = "whole"\n'


def source(url: str, log: Path, more: str = "", columns: str = COLUMNS, of_log: str = "") -> Source:
    file = log.parent / "site.toml"
    text = f'url = "{url}"\nclient = "who"\ntime = "at"\n{more}\n[columns]\n{columns}\n[log]\npath = "{log}"\n{of_log}'
    return source_of(checked(SourceEntries, parse_toml(text, file), file, "source"), file)


def kafka(address: str, topic: str, log: Path, more: str = "", columns: str = COLUMNS, of_log: str = "") -> KafkaSource:
    scheme = "kafkas" if "ca =" in more else "kafka"
    found = source(f"{scheme}://{address}/{topic}", log, more, columns, of_log)
    assert isinstance(found, KafkaSource)
    return found
