"""What a site needs to start: files and keys that fit. A source that is away for now may come back."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployment.project.site_folders import _require_usable
from edge_client.errors import LogBroken, SourceAway
from edge_client.event_log.log import EventLog
from edge_client.site_config import SiteConfig
from edge_client.sources.open import KeptSource
from edge_client.sources.source import LogSource
from tests.edge_client.making import settings_in
from tests.federation.wire import SITE


def config_of(folder: Path) -> SiteConfig:
    path = folder / "events.log"
    assert SITE.node is not None
    return SiteConfig(settings_in(folder), LogSource(url=f"log://{path}", client="who", time="t", path=path), SITE.node)


def test_a_site_starts_while_its_source_is_away_and_reads_it_once_it_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, sources = config_of(tmp_path), KeptSource()
    _require_usable(tmp_path, config, sources)
    assert "Until it can be read, the site answers every plan with SOURCE_AWAY" in caplog.text
    with pytest.raises(SourceAway), sources.of(config.source, "a"):
        pass
    with pytest.raises(SourceAway, match="no such event log"):
        sources.status()  # so the monitor says that the site is not ready
    with EventLog(tmp_path / "events.log", client="who", time="t") as log:
        log.append([{"who": "p", "t": "2020-05-01", "k": "x"}])
    with sources.of(config.source, "a") as source:
        assert source.schema(()).column_names == ["who", "t"]
    status = sources.status()
    assert status is not None
    assert status.connected
    sources.close()
    assert sources.status() is None


def test_a_site_does_not_start_with_a_source_that_can_never_be_read(tmp_path: Path) -> None:
    (tmp_path / "events.log").write_bytes(b"no log " * 2_000)
    config = config_of(tmp_path)
    with pytest.raises(LogBroken):
        _require_usable(tmp_path, config, KeptSource())
