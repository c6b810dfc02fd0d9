"""What the console and the child process of a run say to each other: a request, then lines of events."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from deployment.run_services import FileServices
from featurestore.define.definitions import FeatureView
from featurestore.define.on_demand import OnDemandView
from featurestore.define.services import FeatureService
from featurestore.define.wire import view_from_bytes, view_to_bytes
from featurestore.errors import OnDemandFailed

MAX_REQUEST: Final = 64 * 2**20
"""Bytes of a request: views with large domains."""
MAX_LINE: Final = 2**20
"""Bytes of one line of the child: an error, or the result of many views."""

EventName = Literal["progress", "done", "failed"]


class ServiceData(BaseModel):
    """A feature service, as `FeatureService` has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    name: str
    refs: tuple[str, ...]

    def read(self) -> FeatureService:
        """The service. Raises ServiceInvalid."""
        return FeatureService(self.name, self.refs)


class OnDemandData(BaseModel):
    """What services need to know of an on-demand view. Its function stays where it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    name: str
    outputs: tuple[str, ...]
    features: dict[str, str]

    @classmethod
    def of(cls, view: OnDemandView) -> Self:
        """The data of a view."""
        return cls(name=view.name, outputs=view.outputs, features=dict(view.features))

    def read(self) -> OnDemandView:
        """The view, with a function that fails."""
        return OnDemandView(self.name, self.outputs, self.features, {}, _no_function)


class RunServicesRequest(BaseModel):
    """The feature services of the text, to register after the run.

    Attributes:
        left_out: the views of the text that the run does not collect.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    services: tuple[ServiceData, ...] = ()
    on_demand: tuple[OnDemandData, ...] = ()
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, services: FileServices) -> Self:
        """Those of a text."""
        return cls(
            services=tuple(map(ServiceData.model_validate, services.services)),
            on_demand=tuple(map(OnDemandData.of, services.on_demand)),
            left_out=tuple(sorted(services.left_out)),
        )

    def read(self, views: tuple[FeatureView, ...]) -> FileServices:
        """The services of the text of which these views are collected. Raises ServiceInvalid."""
        services, on_demand = (one.read() for one in self.services), (one.read() for one in self.on_demand)
        return FileServices(tuple(services), tuple(on_demand), views, frozenset(self.left_out))


def _no_function(**_given: object) -> None:
    raise OnDemandFailed("a run", "it has no functions of on-demand views")


class RunRequest(BaseModel):
    """A run in one process over a file of events. Views are canonical protobuf, which cannot run.

    Attributes:
        views: base64 of each view's canonical bytes.
        store: the directory of the store or project.
        start, end: the panes inside [start, end), UTC; None: those of the ended days that hold events.
        budget: the most ρ of a client-day, as `covey run --budget` takes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    views: Annotated[tuple[str, ...], Field(min_length=1, max_length=1_000)]
    events: str
    client_column: str
    time_column: str
    site_column: str | None
    store: str
    start: datetime | None
    end: datetime | None
    noise: Literal["on", "off"]
    budget: str
    services: RunServicesRequest = RunServicesRequest()

    def declared(self) -> tuple[FeatureView, ...]:
        """The views. Raises ViewMalformed."""
        return decoded(self.views)


def decoded(views: tuple[str, ...]) -> tuple[FeatureView, ...]:
    """The inverse of `encoded`. Raises ViewMalformed."""
    return tuple(view_from_bytes(base64.b64decode(view, validate=True)) for view in views)


def encoded(views: tuple[FeatureView, ...]) -> tuple[str, ...]:
    """The views as a request has them."""
    return tuple(base64.b64encode(view_to_bytes(view)).decode("ascii") for view in views)


class RunEvent(BaseModel):
    """One line of the child.

    Attributes:
        data: of `progress` view, step, done and total; of `done` what `covey run --json` prints; of `failed` code, detail and
            mend.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: EventName
    data: dict[str, Any]
