"""LitServe: one API server and one worker, which makes batches."""

from typing import Any

import litserve
from features import Predictor, plan


class Late(litserve.LitAPI):
    """The steps of a request."""

    def setup(self, device: object) -> None:
        """Run once in the worker."""
        self._predictor = Predictor(plan())

    def decode_request(self, request: dict[str, Any]) -> dict[str, list[Any]]:
        """Take the keys and columns."""
        entities: dict[str, list[Any]] = request["entities"]
        return entities

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Keep a list."""
        return inputs

    def predict(self, inputs: list[Any]) -> list[list[float]]:
        """Predict a batch."""
        predicted: list[list[float]] = self._predictor(inputs)
        return predicted

    def unbatch(self, output: list[Any]) -> list[Any]:
        """Keep a list."""
        return output

    def encode_response(self, output: list[float]) -> dict[str, Any]:
        """The answer."""
        return {"predictions": output}


if __name__ == "__main__":
    given = plan()
    api = Late(max_batch_size=given.max_batch, batch_timeout=given.delay_ms / 1_000, api_path="/predict/late")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True, timeout=30)
    server.run(host="127.0.0.1", port=given.port, num_api_servers=1, log_level="warning", generate_client_file=False)
