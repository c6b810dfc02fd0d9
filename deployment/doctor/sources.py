"""Checks of the sources of sites: the events of files, tables and logs, and the brokers and event logs of streams."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from base.errors import CoveyError
from deployment.project.fleet import SITES
from edge_client.errors import LogSettingsDiffer
from edge_client.event_log.log import EventLog
from edge_client.event_log.sealing import read_log_key
from edge_client.site_config import source_in
from edge_client.sources.open import EACH_TIME
from edge_client.sources.source import KafkaSource, LogSettings, MqttSource, Stream
from edge_client.sources.streams.probing import look_at_broker
from edge_client.sources.surroundings import Surroundings
from federation.errors import FederationError
from federation.private_key_file import read_private

from .finding import Finding, Place, not_applicable, ok, problem, problem_of, warning


def check_events(place: Place) -> Iterator[Finding]:
    """Whether the events of each site here can be read, with their columns of clients and times. No value is read."""
    files = sorted((place.directory / SITES).glob("*.toml"))
    if not files:
        yield not_applicable("no site is configured here")
    for file in files:
        try:
            source = source_in(file)
            if isinstance(source, KafkaSource | MqttSource):
                yield ok(f"site {file.stem} declares the columns of its stream: {source.url}")
                continue
            with EACH_TIME.of(source, file.stem) as opened:
                opened.schema(())
        except CoveyError as error:
            yield problem_of(error, f"edit {file}, or: covey start site {file.stem} --source URL …")
        else:
            yield ok(f"the events of site {file.stem} can be read: {source.url}")


def check_streams(place: Place) -> Iterator[Finding]:
    """Whether the broker of each site's stream can be reached, and its event log be written. A running site is not disturbed."""
    found = False
    for file in sorted((place.directory / SITES).glob("*.toml")):
        try:
            source = source_in(file)
        except CoveyError:  # the check `events` names it
            continue
        if isinstance(source, KafkaSource | MqttSource):
            found = True
            yield _broker(file, source)
            yield from _log(file, source)
    if not found:
        yield not_applicable("no site here reads a stream")


def _broker(file: Path, source: Stream) -> Finding:
    key = None if source.tls is None else source.tls.private_key
    try:
        if key is not None:
            read_private(key)
    except FederationError as error:
        return problem_of(error, f"chmod 600 {key}, or edit private_key in [source] of {file}")
    try:
        look_at_broker(source, Surroundings(file.stem))
    except CoveyError as error:
        return problem_of(error, f"start or mend the broker, or edit [source] in {file}")
    return ok(f"the broker of site {file.stem} answers, and lets the site read: {source.url}")


def _log(file: Path, source: Stream) -> Iterator[Finding]:
    """The event log of a stream: its key, its file, and the space for it."""
    settings = source.log
    try:
        if settings.key is not None:
            read_log_key(settings.key)
        used = _used(source, settings) if settings.path.exists() else 0
    except CoveyError as error:
        yield problem_of(error, f"edit [source.log] in {file}")
        return
    folder = settings.path.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        yield problem(
            f"{folder}, of the event log of site {file.stem}, cannot be written by user {os.geteuid()}",
            f"make it, or let the user of the site own it: chown USER {folder}",
        )
        return
    free, more = shutil.disk_usage(folder).free, settings.size - used
    if more > free:
        yield warning(
            f"the event log {settings.path} may grow by {more / 1e6:,.0f} MB, and its disk has {free / 1e6:,.0f} MB",
            f"lower `size` in [source.log] of {file}, or free some space",
        )
    elif used >= settings.size and settings.when_full == "wait":
        yield problem(
            f"the event log {settings.path} is full, so site {file.stem} reads nothing",
            f'raise `size`, lower `days`, or write when_full = "drop-oldest" in [source.log] of {file}',
        )
    else:
        yield ok(f"the event log {settings.path} has {used / 1e6:,.1f} of {settings.size / 1e6:,.0f} MB")


def _used(source: Stream, settings: LogSettings) -> int:
    """The size of a log that exists. Raises LogBroken, LogKeyWrong, LogSettingsDiffer: it was made for another source."""
    with EventLog.existing(settings.path, key=settings.key) as log:
        have = log.columns
        for name, old, new in (
            ("client", have.client, source.client),
            ("time", have.time, source.time),
            ("event_id", have.event_id, source.event_id),
        ):
            if old != new:
                raise LogSettingsDiffer(str(settings.path), name, old, new)
        return log.counts().bytes
