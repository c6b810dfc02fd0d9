"""Feast's unmodified client and SDK while a view gets a new version: each pin keeps its rows, and the name moves on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covey.feast_repo import write_repo
from featurestore.define.services import FeatureService
from featurestore.publish.publish import Publisher
from tests import quick_feast
from tests.featurestore.test_versions_served import BOTH, COLUMNS, MIDNIGHT, begin, hand_over
from tests.waiting import wait_until

from .test_serve import serving

if not quick_feast.INSTALLED:  # not imported here, because that takes seconds in every worker
    pytest.skip("Feast is not installed: it is one of the `dev` extras, and no dependency", allow_module_level=True)

KEYS = {"dest": ["LAX", "???"]}


@pytest.fixture(autouse=True)
def _feast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEAST_USAGE", "False")
    quick_feast.load()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    begin(folder)
    return folder


@pytest.fixture
def client(directory: Path, tmp_path: Path) -> Iterator[Any]:
    """Feast's own remote client of a running server."""
    from feast import FeatureStore, RepoConfig
    from feast.permissions.client.http_auth_requests_wrapper import HttpSessionManager

    with serving(directory) as (_, host, port):
        config = RepoConfig(
            project="covey",
            provider="local",
            registry=str(tmp_path / "registry.db"),
            online_store={"type": "remote", "path": f"http://{host}:{port}"},
            entity_key_serialization_version=3,
        )
        yield FeatureStore(config=config)
        HttpSessionManager.close_session()


def test_the_client_reads_each_version_and_the_name_moves_while_the_server_runs(client: Any, directory: Path) -> None:
    def read(refs: list[str]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = client.get_online_features(refs, KEYS, full_feature_names=True).to_dict()
        return found

    assert read(["delays:flights"])["delays__flights"] == [93.0, None]
    hand_over(directory)
    wait_until(lambda: read(["delays:flights"])["delays__flights"] == [504.0, None])
    got = read(BOTH)
    assert list(got) == ["dest", *COLUMNS]
    assert got["delays@v1__flights"] == [93.0, None]
    assert got["delays@v2__flights"] == [504.0, None]


def test_the_sdk_follows_the_name_and_a_feature_of_another_version_is_left_out_of_its_services(
    directory: Path, tmp_path: Path
) -> None:
    hand_over(directory)
    with Publisher(directory, lambda: MIDNIGHT) as publisher:
        publisher.register_services(
            [FeatureService("model", ["delays@v1:flights", "delays@v2:late", "delays:delay_mean"])]
        )
    repo = tmp_path / "repo"
    write_repo(directory, repo)
    definitions = (repo / "covey_views.py").read_text(encoding="utf-8")
    assert "# model, without delays@v1:flights: Feast reads the version that a name serves" in definitions
    own = {"FEAST_USAGE": "False", "HOME": str(repo), "PYTHONPATH": str(quick_feast.ROOT)}
    applied = subprocess.run(
        quick_feast.command("-c", str(repo), "apply"), env=os.environ | own, capture_output=True, text=True, timeout=300
    )
    assert applied.returncode == 0, applied.stdout + applied.stderr
    from feast import FeatureStore

    store = FeatureStore(repo)
    got = store.get_online_features(["delays:flights", "delays:delay_mean_6h__status"], [{"dest": "LAX"}]).to_dict()
    assert got["flights"] == [504.0]
    service = store.get_online_features(store.get_feature_service("model"), [{"dest": "LAX"}]).to_dict()
    assert sorted(service) == ["delay_mean", "dest", "late"]
