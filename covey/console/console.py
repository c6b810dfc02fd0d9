"""What the routes of the console need of the outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deployment.lineage.emission import Follower
from deployment.project.project import Project
from featurestore.store import Store

from .text_pool import TextPool, TextSettings


@dataclass(frozen=True)
class EventSource:
    """The events that the console may collect over, and whose columns the composer offers.

    Attributes:
        path: as `covey run --events` takes it.
        site_column: None: all clients are of one site.
    """

    path: str
    client_column: str
    time_column: str
    site_column: str | None = None


@dataclass(frozen=True)
class ConsoleInputs:
    """What the operator gives the console beside the store.

    Attributes:
        views_file: the file that the composer edits; None: the composer only shows what is pasted.
        trust_views: whether `views_file` may be executed.
        source: None: the console cannot collect.
        lab: the folder of the laboratory's runs.
        serving: the URL of a running `covey serve --models`.
    """

    views_file: Path | None = None
    trust_views: bool = False
    source: EventSource | None = None
    lab: Path | None = None
    serving: str | None = None


@dataclass(frozen=True, eq=False)
class Console:
    """What the routes of the console need of the outside.

    Attributes:
        directory: of the store, or of the project that has it.
        store: opened by the feature server; any thread may read it.
        clock: wall clock, µs since the epoch.
        randomness: random bytes from the operating system.
        lineage: sends the lineage to a collector; None: it is not sent.
        texts: answers what pages ask about texts; None: this process does.
    """

    directory: Path
    store: Store
    inputs: ConsoleInputs
    clock: Callable[[], int]
    randomness: Callable[[int], bytes]
    lineage: Follower | None = None
    texts: TextPool | None = None

    @property
    def has_project(self) -> bool:
        """Whether the directory is a project, not a store alone."""
        return Project.find(self.directory) is not None

    @property
    def text_settings(self) -> TextSettings:
        """What the routes of texts need."""
        return TextSettings(self.directory, self.inputs.views_file, self.inputs.trust_views)
