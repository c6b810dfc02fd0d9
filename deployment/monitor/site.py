"""The state of a site, as its monitor shows it to the site's own operator."""

from __future__ import annotations

from collections.abc import Iterator

from base.metrics import PEER_UP, Meters, Sample
from edge_client.serving import SiteService


class SiteState:
    """The state of one site.

    Args:
        address: of the SuperLink.
        meters: the counters of its answers.
    """

    def __init__(self, service: SiteService, address: str, meters: Meters) -> None:
        self._service, self._address, self._meters = service, address, meters

    def waits_for(self) -> str | None:
        """The SuperLink."""
        return None if self._service.connected else f"the superlink at {self._address}"

    def samples(self) -> Iterator[Sample]:
        """The counters, and whether the SuperLink knows the site."""
        yield from self._meters.samples()
        yield Sample(PEER_UP, ("superlink",), float(self._service.connected))
