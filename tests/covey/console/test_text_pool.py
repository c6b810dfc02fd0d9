"""Texts are answered by child processes, which may be slow, end, or grow without harm to the console."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from covey.console import text_worker
from covey.console.console import EventSource
from covey.console.text_pool import ANSWER, CHILD, REQUEST, TextAnswer, TextPool, TextSettings
from covey.errors import TextTooDemanding
from tests.covey.conftest import VIEWS, write_project

from .asking import Api, console_of

ECHO = (
    "import os, struct, sys, time\n"
    "while head := sys.stdin.buffer.read(6):\n"
    "    path, size = struct.unpack('>HI', head)\n"
    "    sys.stdin.buffer.read(path)\n"
    "    body = sys.stdin.buffer.read(size)\n"
    "    if body == b'loop': time.sleep(600)\n"
    "    if body == b'die': os.abort()\n"
    "    found = b'%d' % os.getpid()\n"
    "    sys.stdout.buffer.write(struct.pack('>?HI', body == b'last', 200, len(found)) + found)\n"
    "    sys.stdout.buffer.flush()\n"
)
"""A child that answers with its process id."""
TEXT = "from covey import Entity\nE = Entity('dest')  # airport\n"


def asked(pool: TextPool, *bodies: bytes, user: str = "a") -> list[bytes | str]:
    """The answers to requests one after the other; of a refused one, why."""

    async def main() -> list[bytes | str]:
        found = list[bytes | str]()
        with pool:
            for body in bodies:
                try:
                    found.append((await pool.ask(user, "/x", body)).body)
                except TextTooDemanding as error:
                    found.append(error.why)
        return found

    return asyncio.run(main())


def test_a_text_that_takes_too_long_is_refused_and_the_next_one_has_a_new_child() -> None:
    """Only the text that loops has a short deadline: a busy machine may start a child slowly."""

    class Impatient(TextPool):
        async def ask(self, user: str, path: str, body: bytes) -> TextAnswer:
            self._deadline_s = 1.0 if body == b"loop" else 60.0
            return await super().ask(user, path, body)

    first, refused, last = asked(Impatient((sys.executable, "-c", ECHO)), b"", b"loop", b"")
    assert refused == "it takes longer than 1 s"
    assert first != last


def test_a_text_that_ends_its_child_is_refused_and_the_next_one_has_a_new_child() -> None:
    first, refused, last = asked(TextPool((sys.executable, "-c", ECHO)), b"", b"die", b"")
    assert refused == "it takes too much memory"
    assert first != last


def test_a_child_is_kept_until_it_says_that_it_ends() -> None:
    first, second, third = asked(TextPool((sys.executable, "-c", ECHO)), b"", b"last", b"")
    assert first == second != third


def test_two_users_have_a_child_each_and_no_child_outlives_the_console() -> None:
    async def main() -> list[int]:
        with TextPool((sys.executable, "-c", ECHO)) as pool:
            answers = await asyncio.gather(*(pool.ask(user, "/x", b"") for user in "aaab"))
        return [int(one.body) for one in answers]

    first, *_, other = found = asyncio.run(main())
    assert first != other
    assert len(set(found)) == 2  # the user with three requests has one child at a time
    for process in (first, other):
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_the_console_answers_with_what_its_child_says(tmp_path: Path) -> None:
    """The real child: a graph, a problem, and a text that is no JSON."""
    with (
        console_of(tmp_path) as console,
        TextPool((*CHILD, console.text_settings.to_json())) as pool,
    ):
        alone, passed_on = Api(console), Api(replace(console, texts=pool))
        for path, body in (
            ("parse", {"text": TEXT}),
            ("parse", {"text": "x = (", "more": 1}),
            ("compare", {"before": TEXT, "after": "\n" + TEXT}),
            ("explain", {"text": TEXT, "clients": [100]}),
            ("parse", {"text": "x = [" + "1," * 60_000 + "]"}),
        ):
            wanted = alone.ask("POST", f"/composer/{path}", json=body)
            assert passed_on.ask("POST", f"/composer/{path}", json=body) == wanted
        assert passed_on.ask("POST", "/composer/parse", content=b"{")[0] == 422
        reader = Api(replace(console, texts=pool), "reader")
        assert reader.post("/composer/parse", {"text": TEXT})["fault"] is None
        del reader.client.headers["X-Covey-Console"]
        assert reader.ask("POST", "/composer/parse", json={"text": TEXT})[0] == 403


def test_the_views_file_and_the_texts_of_runs_are_read_by_a_child_with_the_same_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_project(tmp_path)
    views = folder / "views.py"
    views.write_text(f'{VIEWS}one = FeatureService("one", ["visits:big"])\nodd = make()\n')
    wrong, large = "x = (", "x = [" + "1," * 60_000 + "]"
    source = EventSource(str(folder / "events.parquet"), "who", "at", "site")
    with console_of(folder, views_file=views, source=source) as console:
        based_on = Api(console).get("/composer/file")["sha256"]
        asks = list[tuple[str, str, Any]]([("GET", "/composer/file", None)])
        for text in (views.read_text(), wrong, large, "x = '\ud800'"):
            asks.append(("POST", "/composer/runs/preview", {"text": text, "views": ["visits"], "budget": "1"}))
            asks.append(("PUT", "/composer/file", {"text": text, "based_on": "0" * 64}))
            asks.append(("POST", "/composer/runs", {"text": text, "views": ["none"], "confirmed": True}))
        kind = {"content-type": "application/json"}  # the client's own JSON takes no lone surrogate
        wanted = [Api(console).ask(how, path, content=json.dumps(body), headers=kind) for how, path, body in asks]
        assert [status for status, _ in wanted[:4]] == [200, 200, 409, 422]
        with TextPool((*CHILD, console.text_settings.to_json())) as pool:
            api = Api(replace(console, texts=pool))
            monkeypatch.setattr("covey.console.api.composer.reading.parsed", None)
            monkeypatch.setattr("covey.console.api.composer.reading.views_of", None)
            for (how, path, body), answer in zip(asks, wanted, strict=True):
                assert api.ask(how, path, content=json.dumps(body), headers=kind) == answer, (how, path)
            assert api.ask("PUT", "/composer/file", json={"text": TEXT, "based_on": based_on})[0] == 200
    assert views.read_text() == TEXT


def served(monkeypatch: pytest.MonkeyPatch, growth: int, *requests: tuple[str, Any]) -> list[tuple[bool, int, Any]]:
    """(ends, status, answer) of requests to the child's routes, in this process."""
    monkeypatch.setattr(text_worker, "MAX_GROWTH", growth)
    sent = b""
    for path, body in requests:
        name, data = f"/console/api/composer/{path}".encode(), json.dumps(body).encode()
        sent += REQUEST.pack(len(name), len(data)) + name + data
    out = io.BytesIO()
    text_worker.serve(text_worker.app_of(TextSettings(Path(), None, False)), io.BytesIO(sent), out)
    out.seek(0)
    found = []
    while head := out.read(ANSWER.size):
        ends, status, size = ANSWER.unpack(head)
        found.append((ends, status, json.loads(out.read(size))))
    return found


def test_a_child_that_has_grown_ends_after_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asks = ("parse", {"text": TEXT})
    assert [(ends, status) for ends, status, _ in served(monkeypatch, 2**40, asks, asks)] == [(False, 200)] * 2
    assert [(ends, status) for ends, status, _ in served(monkeypatch, -(2**40), asks, asks)] == [(True, 200)]


def test_a_child_has_no_other_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    asks = [("file", {}), ("runs", {}), ("../session", {"token": "x"})]
    assert {status for _, status, _ in served(monkeypatch, 2**40, *asks)} == {404}


def test_a_text_beyond_the_memory_of_a_child_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(_: str) -> None:
        raise MemoryError

    monkeypatch.setattr("deployment.view_source.source.parse", parse)
    ((_, status, problem),) = served(monkeypatch, 2**40, ("parse", {"text": TEXT}))
    assert (status, problem["code"]) == (422, "TEXT_TOO_DEMANDING")


def test_a_child_has_its_parsers_before_its_first_request_and_needs_no_pandas(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-X",
        "importtime",
        *CHILD[1:],
        TextSettings(tmp_path, None, trust_views=False).to_json(),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True)
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, flags=re.M))
    assert "libcst" in imported
    assert "pandas.core" not in imported
