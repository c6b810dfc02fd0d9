"""Feast's own page over the same views: `covey views --feast` writes the repository, `feast ui` serves the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from base.ports import free_port
from covey.feast_repo import DEFINITIONS

PACKAGE: Final = "feast[grpcio]>=0.66"
PROJECT: Final = "covey"
_START_S: Final = 120
_LAST_IMPORT: Final = "from feast.value_type import ValueType\n"
_SOURCE: Final = """
from feast import FileSource

history = FileSource(name="history", path="history.parquet", timestamp_field="pane_end")
"""
"""Feast's page fails on a view without a source. Its rows are not read."""


def make_repository(store: Path, folder: Path, python: Path) -> None:
    """A repository of Feast's with the views of a store, applied."""
    _run([sys.executable, "-m", "covey", "views", "--store", str(store), "--feast", str(folder)])
    definitions = folder / DEFINITIONS
    text = definitions.read_text(encoding="utf-8").replace("    schema=[", "    source=history,\n    schema=[")
    definitions.write_text(text.replace(_LAST_IMPORT, _LAST_IMPORT + _SOURCE), encoding="utf-8")
    pq.write_table(pa.table({"pane_end": pa.array([], pa.timestamp("us", "UTC"))}), folder / "history.parquet")
    settings = {
        "project": PROJECT,
        "provider": "local",
        "registry": "registry.db",
        "entity_key_serialization_version": 3,
    }
    (folder / "feature_store.yaml").write_text(json.dumps(settings))  # JSON is YAML; Feast's page reads no online store
    _run([str(python.with_name("feast")), "--chdir", str(folder), "apply"])


@contextmanager
def feast_ui(folder: Path, python: Path) -> Iterator[str]:
    """The URL of a running `feast ui`."""
    port = free_port()
    words = [str(python.with_name("feast")), "--chdir", str(folder), "ui", "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "log"
    with log.open("wb") as out, subprocess.Popen(words, stdout=out, stderr=out, env=_quiet()) as process:
        try:
            url, end = f"http://127.0.0.1:{port}", time.monotonic() + _START_S
            while not _answers(url):
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"feast ui did not start: {log.read_text()[-2_000:]}")
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:
        return bool(response.status == 200)
    return False


def _run(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, env=_quiet(), check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed: {done.stderr[-2_000:]}")


def _quiet() -> dict[str, str]:
    return os.environ | {"FEAST_USAGE": "False"}
