"""The routes of releases."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from covey.console.commands import command
from covey.console.console import Console
from covey.console.roles import Operator
from covey.errors import CursorInvalid, require_confirmed
from deployment.coordinator.decisions import published_reason
from deployment.inspect.releases import retract
from deployment.inspect.verification import Pinned, Verifier
from featurestore.define.release import PaneState
from featurestore.registry.pane_index import PaneFilter, PanePlace
from featurestore.registry.release_pages import ListedPane

from .forms import (
    ReleaseCounts,
    ReleaseDetail,
    ReleasePage,
    ReleaseRow,
    Retraction,
    RetractionPreview,
    RetractionRequest,
)
from .verification_forms import Verification

MOST: Final = 200
_CURSOR: Final = re.compile(r"(-?[0-9]{1,19})\.([0-9]{1,18})")
_EFFECT: Final = (
    "The pane becomes VOID, and the windows that contain it are issued again without it. Joins at earlier times give the same "
    "values as before. Its price stays spent, and it is never collected again. This cannot be undone."
)

ReleaseId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="32 hex digits")]
Moment = Annotated[int | None, Query(ge=-(2**62), le=2**62, description="µs since the epoch")]


def router(console: Console) -> APIRouter:
    """The routes of this place."""
    routes = APIRouter(prefix="/releases", tags=["releases"])

    @routes.get("", operation_id="listReleases")
    def releases(
        view: Annotated[str | None, Query(max_length=200)] = None,
        state: PaneState | None = None,
        trust: Annotated[str | None, Query(max_length=100)] = None,
        first: Moment = None,
        end: Moment = None,
        text: Annotated[
            str | None,
            Query(
                min_length=1,
                max_length=200,
                description="In a reason, or the beginning of a release or plan in hexadecimal",
            ),
        ] = None,
        cursor: Annotated[str | None, Query(max_length=40)] = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    ) -> ReleasePage:
        """A page of all published panes, or of those with first ≤ pane_start < end and the other conditions."""
        wanted = PaneFilter(state, trust, first, end, text)
        page = console.store.panes.page(view, wanted, None if cursor is None else _place(cursor), limit)
        return ReleasePage(
            releases=list(map(ReleaseRow.of, page.panes)),
            next=_cursor(page.panes[-1].place) if page.more else None,
        )

    @routes.get("/counts", operation_id="countReleases")
    def counts() -> ReleaseCounts:
        """How many panes each view has."""
        return ReleaseCounts.of(console.store.panes.tallies())

    @routes.get("/{release_id}", operation_id="showRelease")
    def release(release_id: ReleaseId) -> ReleaseDetail:
        """The terms of one release."""
        pane = console.store.panes.find(bytes.fromhex(release_id))
        return ReleaseDetail.of(pane, _line(console, "show", release_id))

    @routes.get("/{release_id}/verification", operation_id="verifyRelease")
    def verification(release_id: ReleaseId) -> Verification:
        """Verify the release, as `covey release verify` does."""
        pane, pinned = console.store.panes.find(bytes.fromhex(release_id)), Pinned.of(console.directory)
        found = Verifier(console.store, pinned).verify(pane.registered.view.name, pane.record.release_id)
        return Verification.of(found, pane, pinned, _line(console, "verify", release_id))

    @routes.get("/{release_id}/retraction", operation_id="previewRetraction")
    def preview(release_id: ReleaseId) -> RetractionPreview:
        """What a retraction would do."""
        pane = console.store.panes.find(bytes.fromhex(release_id))
        return RetractionPreview(
            release=ReleaseRow.of(pane),
            effect=_EFFECT,
            why_not=_why_not(pane),
            command=_line(console, "retract", release_id, "--reason", "TEXT"),
        )

    @routes.post("/{release_id}/retraction", operation_id="retractRelease")
    def retraction(release_id: ReleaseId, body: RetractionRequest, _user: Operator) -> Retraction:
        """Publish the tombstone of a release."""
        require_confirmed(body.confirmed, "a retraction, which cannot be undone,")
        ident = bytes.fromhex(release_id)
        reason = published_reason(body.reason)
        line = _line(console, "retract", release_id, "--reason", reason, "--yes")
        tombstone = retract(console.directory, ident, reason, console.clock)
        row = ReleaseRow.of(console.store.panes.find(ident))
        return Retraction(release=row, signed=bool(tombstone.signature), command=line)

    return routes


def _why_not(pane: ListedPane) -> str | None:
    match pane.record.state:
        case "opened":
            return None
        case "void":
            return "This pane was not opened, so there is nothing to retract."
        case "retracted":
            return "This release is retracted already."


def _line(console: Console, verb: str, release_id: str, *words: str) -> str:
    return command("covey", "release", verb, release_id, *words, "--store", str(console.directory))


def _cursor(place: PanePlace) -> str:
    return f"{place.pane_start}.{place.collection_id}"


def _place(cursor: str) -> PanePlace:
    """The place of a cursor. Raises CursorInvalid."""
    found = _CURSOR.fullmatch(cursor)
    if found is None or abs(int(found[1])) >= 2**63:
        raise CursorInvalid(cursor)
    return PanePlace(int(found[1]), int(found[2]))
