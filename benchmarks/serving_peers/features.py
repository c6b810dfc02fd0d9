"""How the peers of `benchmarks.serving` predict: features from a server or from Feast's SDK, then the model, once for a batch.

Run with the Python of the peers' environment, whose programs take a `Plan` as JSON in `PLAN` of the environment.
"""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch


@dataclass(frozen=True)
class Plan:
    """What a peer serves.

    Attributes:
        port: its port on the loopback.
        model: the path of the exported program.
        names: the stored features of the model, in order, `view__feature`.
        columns: its plain columns.
        service: the feature service that is read.
        feast: a repository of Feast's; empty: our feature server answers.
        server, api_key: port of our feature server, and a key of it.
        max_batch, delay_ms: of the peer's batches.
    """

    port: int
    model: str
    names: list[str]
    columns: list[str]
    service: str
    feast: str = ""
    server: int = 0
    api_key: str = ""
    max_batch: int = 64
    delay_ms: float = 0.1


def plan() -> Plan:
    """The plan of this process."""
    return Plan(**json.loads(os.environ["PLAN"]))


class Fetch(Protocol):
    """Reads features."""

    def __call__(self, keys: list[str]) -> dict[str, list[Any]]:
        """The values of each feature, by its full name."""


class FromServer:
    """Reads from our feature server, over one kept connection."""

    def __init__(self, given: Plan) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", given.server)
        self._service = given.service
        self._headers = {"content-type": "application/json", "authorization": f"Bearer {given.api_key}"}

    def __call__(self, keys: list[str]) -> dict[str, list[Any]]:
        """See `Fetch`."""
        body = {"feature_service": self._service, "entities": {"key": keys}, "full_feature_names": True}
        self._connection.request("POST", "/get-online-features", json.dumps(body), self._headers)
        read = json.loads(self._connection.getresponse().read())
        columns = zip(read["metadata"]["feature_names"], read["results"], strict=True)
        return {name: column["values"] for name, column in columns}


class FromFeast:
    """Reads with Feast's SDK, in this process."""

    def __init__(self, given: Plan) -> None:
        from feast import FeatureStore

        self._store = FeatureStore(repo_path=given.feast)
        self._service = self._store.get_feature_service(given.service)

    def __call__(self, keys: list[str]) -> dict[str, list[Any]]:
        """See `Fetch`."""
        rows = {"key": keys}
        read = self._store.get_online_features(features=self._service, entity_rows=rows, full_feature_names=True)
        found: dict[str, list[Any]] = read.to_dict()
        return found


class Predictor:
    """Predicts batches of requests, each `{"key": […], column: […], …}`."""

    def __init__(self, given: Plan) -> None:
        torch.set_num_threads(1)
        self._plan, self._model = given, torch.export.load(given.model).module()
        self._fetch: Fetch = FromFeast(given) if given.feast else FromServer(given)

    def __call__(self, requests: list[dict[str, list[Any]]]) -> list[list[float]]:
        """The predictions of each request."""
        keys = [key for one in requests for key in one["key"]]
        read = self._fetch(keys)
        columns = [read[name] for name in self._plan.names]
        columns += [[value for one in requests for value in one[name]] for name in self._plan.columns]
        values = np.array(columns, np.float32).T
        mask = ~np.isnan(values)
        x, there = torch.from_numpy(np.where(mask, values, np.float32(0))), torch.from_numpy(mask)
        with torch.inference_mode():
            predicted = self._model(x, there, torch.zeros_like(x)).tolist()
        found, at = [], 0
        for one in requests:
            found.append(predicted[at : at + len(one["key"])])
            at += len(one["key"])
        return found
