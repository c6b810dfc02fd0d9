"""One FastAPI process that reads Feast and runs the model, as a first service is often written."""

from typing import Any

import uvicorn
from fastapi import FastAPI
from features import Predictor, plan
from pydantic import BaseModel


class Request(BaseModel):
    """A request."""

    entities: dict[str, list[Any]]


def app() -> FastAPI:
    """The application."""
    made, predictor = FastAPI(), Predictor(plan())

    @made.post("/predict/late")
    def predict(request: Request) -> dict[str, Any]:
        return {"predictions": predictor([request.entities])[0]}

    return made


if __name__ == "__main__":
    uvicorn.run(app(), host="127.0.0.1", port=plan().port, log_level="warning", access_log=False)
