"""The sections of a configuration that `covey deploy` reads: `[promote]` and `[serve]`. `covey train` ignores them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from base.config import ConfigModel, Text, Texts

MetricName = Literal["auc", "logloss", "rmse"]
Rule = Literal["not-worse", "better"]

_Port = Annotated[int, Field(ge=1, le=65_535, examples=["6566"])]


class PromoteConfig(ConfigModel):
    """`[promote]`: when a new version takes over.

    Attributes:
        metric: None: AUC for a binary target, otherwise RMSE.
        rule: `not-worse`: unless the interval of the difference lies on the worse side. `better`: only if it lies on the better
            side.
    """

    metric: MetricName | None = None
    rule: Rule = "not-worse"


class ServeConfig(ConfigModel):
    """`[serve]`: the server that `covey deploy` starts.

    Attributes:
        models: further models that it serves.
    """

    host: Text = "127.0.0.1"
    port: _Port = 6566
    grpc_port: _Port | None = None
    workers: Annotated[int, Field(ge=1, le=256, examples=["N"])] = 1
    models: Texts = ()
