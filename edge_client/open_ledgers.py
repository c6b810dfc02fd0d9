"""How a site opens its ledger for a message: anew each time, or once for as long as its process runs.

A process that answers many messages keeps the ledger open. Opening it reads all taken panes, so a site with a year of minute panes
would read them for every plan. Other processes may charge the ledger meanwhile: each use reads their entries first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

from federation.keys import site_role
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import LedgerState

from .ledger import SiteLedger


class Ledgers(Protocol):
    """Opens the ledger of a site for one message."""

    def writing(self, path: Path, site: str, clock: Callable[[], int]) -> AbstractContextManager[SiteLedger]:
        """The ledger. Raises LedgerBroken."""
        ...

    def reading(self, path: Path, site: str) -> LedgerState:
        """The state of the ledger, of which nothing is written. Raises LedgerBroken."""
        ...


class OpenedEachTime:
    """Opens the ledger for each message, and closes it."""

    def writing(self, path: Path, site: str, clock: Callable[[], int]) -> AbstractContextManager[SiteLedger]:
        """See `Ledgers`."""
        return SiteLedger(path, site, clock)

    def reading(self, path: Path, site: str) -> LedgerState:
        """See `Ledgers`."""
        return read_ledger(path, site_role(site)).state


EACH_TIME: Final = OpenedEachTime()


class KeptOpen(OpenedEachTime):
    """Keeps the ledger of the last message open. One thread uses it.

    A ledger whose use ended with an exception, and one whose file was replaced, is closed and opened again.
    """

    def __init__(self) -> None:
        self._open: tuple[tuple[object, ...], SiteLedger] | None = None

    @contextmanager
    def writing(self, path: Path, site: str, clock: Callable[[], int]) -> Iterator[SiteLedger]:
        """See `Ledgers`."""
        ledger = self._kept(path, site)
        if ledger is None:
            ledger = SiteLedger(path, site, clock)
            self._open = _file(path, site), ledger
        try:
            ledger.look()
            yield ledger
        except BaseException:
            self.close()
            raise

    def reading(self, path: Path, site: str) -> LedgerState:
        """See `Ledgers`."""
        if (ledger := self._kept(path, site)) is None:
            return super().reading(path, site)
        try:
            ledger.look()
        except BaseException:
            self.close()
            raise
        return ledger.state

    def close(self) -> None:
        """Close the ledger."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _kept(self, path: Path, site: str) -> SiteLedger | None:
        if self._open is not None and self._open[0] != _file(path, site):
            self.close()
        return None if self._open is None else self._open[1]


def _file(path: Path, site: str) -> tuple[object, ...]:
    """What tells one ledger file from another that replaces it, or from none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return path, site, None
    return path, site, found.st_dev, found.st_ino
