"""What the console loads in the background when it starts."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from covey.console import preparation
from covey.console.extension import ConsoleExtension
from covey.console.sessions import Sessions
from featurestore.server.throttle import ServerLimits, Throttle
from tests.waiting import wait_until

from .asking import console_of


def test_a_console_starts_and_ends_while_the_accountant_is_being_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on, ended = threading.Event(), threading.Event(), threading.Event()

    async def start_and_end(extension: ConsoleExtension) -> None:
        async with extension.running():
            wait_until(begun.is_set)
            assert extension.waits_for() is None

    def load(*_: object) -> None:
        begun.set()
        goes_on.wait(30)  # so that a start that waits fails, and does not hang
        ended.set()
        raise RuntimeError("the process ends")

    monkeypatch.setattr(preparation, "epsilon_of", load)
    with console_of(tmp_path) as console:
        extension = ConsoleExtension(
            console, Sessions(None, "", lambda: 0.0, bytes), Throttle(ServerLimits()), cookie="c", secure=False
        )
        asyncio.run(start_and_end(extension))
    assert not ended.is_set()
    goes_on.set()
    wait_until(ended.is_set)


def test_a_process_can_end_while_it_loads_and_has_the_accountant_when_it_has_loaded() -> None:
    start = "import sys, threading; from covey.console.preparation import prepare; prepare()"
    assert _run(start) == ""
    waits = (
        "[one.join() for one in threading.enumerate() if one.name == 'prepare']; print('dp_accounting' in sys.modules)"
    )
    assert _run(f"{start}; {waits}") == "True\n"


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stderr == ""
    return done.stdout
