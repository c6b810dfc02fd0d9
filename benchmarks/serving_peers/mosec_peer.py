"""mosec: its server and one worker, which makes batches."""

import json
import sys
from typing import Any

from features import Predictor, plan
from mosec import Server, Worker


class Late(Worker):
    """The steps of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self._predictor = Predictor(plan())

    def deserialize(self, data: bytes) -> dict[str, list[Any]]:
        """Take the keys and columns."""
        entities: dict[str, list[Any]] = json.loads(data)["entities"]
        return entities

    def forward(self, data: list[Any]) -> list[list[float]]:
        """Predict a batch."""
        predicted: list[list[float]] = self._predictor(data)
        return predicted

    def serialize(self, data: list[float]) -> bytes:
        """The answer."""
        return json.dumps({"predictions": data}).encode()


if __name__ == "__main__":
    given = plan()
    sys.argv += ["--port", str(given.port), "--address", "127.0.0.1", "--log-level", "warning", "--timeout", "30000"]
    server = Server()
    wait_ms = max(1, round(given.delay_ms))  # the least that it takes
    server.append_worker(
        Late, num=1, max_batch_size=given.max_batch, max_wait_time=wait_ms, route="/predict/late", timeout=30
    )
    server.run()
