"""A site's memory and disk stay flat, whatever its stream sends and however much."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from edge_client.event_log.settings import LEAST_SIZE
from edge_client.sources.streams.stream import MAX_RECORD
from tests.edge_client.sources.streams.test_mqtt_kills import ROOT, subscribe
from tests.mosquitto import publish, running_mosquitto

PROGRAM = Path(__file__).parent / "mqtt_flat.py"
EVENTS = 60
"""Events of a round, each of `TEXT` characters, which compress by a quarter at most."""
TEXT = 64_000
ROUND_BYTES = EVENTS * TEXT


def a_round(draw: random.Random, number: int) -> list[tuple[str, bytes]]:
    """Events, half as many again that were sent before, and bad records of all kinds."""
    first = number * EVENTS
    events = [an_event(draw, first + at) for at in range(EVENTS)]
    again = [an_event(draw, first + draw.randrange(EVENTS)) for _ in range(EVENTS // 2)]
    garbage = [
        b"",
        b"\xff" * 1_000,
        b"[1]",
        b'{"device": "a"',
        b"x" * (MAX_RECORD + 1),
        b"{" * 10_000,
        b'{"device": null}',
    ]
    return [("flat/a", value) for value in (*events, *again, *garbage)]


def an_event(draw: random.Random, number: int) -> bytes:
    text = b64encode(draw.randbytes(TEXT * 3 // 4)).decode()
    return json.dumps({"device": f"d{number % 5}", "at": number, "id": number, "text": text}).encode()


def rounds_of(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """What the site says after each round."""
    draw, path, found = random.Random(1), folder / "events.log", []
    with running_mosquitto(folder / "broker") as broker:
        subscribe(broker.port, "flat")
        arguments = [str(path), str(broker.port), "flat", str(LEAST_SIZE)]
        site = subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert site.stdin is not None
        assert site.stdout is not None
        with site:
            for number in range(rounds):
                publish(broker.port, a_round(draw, number))
                site.stdin.write("\n")
                site.stdin.flush()
                said = json.loads(site.stdout.readline())
                assert said["caught_up"]
                on_disk = sum(file.stat().st_size for file in folder.glob("events.log*"))
                found.append({**said, "disk": on_disk})
            site.stdin.close()
    assert site.returncode == 0
    return found


def require_flat(found: list[dict[str, Any]], warm: int) -> None:
    """The counts are exact, and neither memory nor disk grows once the site is warm. A site that kept payloads would fail."""
    rounds, last = len(found), found[-1]
    assert last["kept"] == rounds * EVENTS
    assert last["duplicates"] == rounds * (EVENTS // 2)
    assert last["bad"] == rounds * 7
    assert last["expired"] > 0
    assert max(one["disk"] for one in found) <= 1.5 * LEAST_SIZE  # while it erases, the write-ahead log is beside it
    assert median(one["memory"] for one in found[warm:]) <= max(one["memory"] for one in found[:warm]) + 96 * 2**20


def test_a_stream_of_several_times_the_logs_size_leaves_memory_and_disk_flat(tmp_path: Path) -> None:
    found = rounds_of(tmp_path, 5)
    assert 5 * ROUND_BYTES > 2 * LEAST_SIZE
    require_flat(found, 3)


@pytest.mark.long
def test_a_stream_of_fifty_times_the_logs_size_leaves_memory_and_disk_flat(tmp_path: Path) -> None:
    rounds = 50 * LEAST_SIZE // ROUND_BYTES + 1
    require_flat(rounds_of(tmp_path, rounds), 10)
