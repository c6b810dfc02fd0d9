"""Sites that read MQTT, for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_client.sources.declared_column import AsText, AsTime, AsWhole, Column, Named
from edge_client.sources.mapping import Mapping
from edge_client.sources.source import LogSettings, MqttSource

COLUMNS = Mapping(
    (
        Column("device", Named("device"), AsText()),
        Column("at", Named("at"), AsTime(unit="us")),
        Column("id", Named("id"), AsWhole()),
        Column("text", Named("text"), AsText()),
    )
)


def a_source(port: int, name: str, topics: str | None = None, host: str = "127.0.0.1") -> MqttSource:
    """The topics of a broker, for a site of this name."""
    topics = topics or f"{name}/#"
    url, log = f"mqtt://{host}:{port}/{topics}", LogSettings(Path("events.log"))
    return MqttSource(
        url=url,
        client="device",
        time="at",
        host=host,
        port=port,
        topics=topics,
        tls=None,
        login=None,
        client_name=name,
        log=log,
    )


def with_log(source: MqttSource, path: Path, **settings: Any) -> MqttSource:
    """The same source, with declared columns, ids and a log at a path."""
    return replace(source, columns=COLUMNS, event_id="id", log=LogSettings(path, **settings))
