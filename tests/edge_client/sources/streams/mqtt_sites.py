"""Sites that read MQTT, for tests."""

from __future__ import annotations

from pathlib import Path

from edge_client.sources.source import LogSettings, MqttSource


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
