"""The console: its session, its page and its command."""

from __future__ import annotations

from pathlib import Path

import httpx

from .asking import API, Api, console_of, running_console


def test_a_page_learns_what_the_console_is_about(tmp_path: Path) -> None:
    with console_of(tmp_path) as console:
        about = Api(console).get("/about")
    assert (about["directory"], about["role"], about["has_project"]) == (str(tmp_path), "operator", False)


def test_the_command_prints_the_url_that_makes_an_operator(tmp_path: Path) -> None:
    with console_of(tmp_path):
        pass
    with running_console(tmp_path) as running:
        with running.client() as client:
            assert client.get(f"{API}/about").json()["role"] == "operator"
        with httpx.Client(base_url=running.url.removesuffix("/console/")) as reader:
            assert reader.post(f"{API}/session", json={}).json()["role"] == "reader"
            assert reader.get(running.url).headers["content-security-policy"].startswith("default-src 'none'")
