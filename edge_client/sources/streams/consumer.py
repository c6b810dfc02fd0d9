"""The consumer of a stream: a thread of a site's process that moves records from a broker into the event log.

    connect at the log's positions ──► poll ──► decode ──► append, with the new positions ──► done ──┐
          ▲          ▲                  ▲─────────────────────────────────────────────────────────────┤
          │ pause    └── the broker is away, or the log cannot be written: another stream             │
          └──────────────────── the log is full: the same batch again, nothing is read meanwhile ◄────┘

Events and positions are one transaction. Whatever ends the process, and between whichever two steps, the next one starts at the
positions of the log: no record is lost, and none is there twice. One batch is in memory at a time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from traceback import extract_tb
from typing import Final

from base.errors import CoveyError
from edge_client.errors import LogFull, SourceAway
from edge_client.event_log.log import EventLog

from ..status import SourceStatus
from .decoding import Decoded
from .stream import Mark, Polled, Stream, StreamFactory

MOST: Final = 5_000
"""Most records of a batch: a transaction of the log for each 5,000 records costs less than their parsing."""
POLL_S: Final = 0.2
"""How long a batch waits for more records: a quiet stream is in the log after this time, and a stop takes no longer."""
QUICK_S: Final = 0.02
"""The same while somebody waits until the log has what the broker has."""
ERASE_S: Final = 3_600.0
"""How often old events are erased while nothing is appended: a quiet stream, or a broker that is away, keeps none for longer."""
FULL_S: Final = 1.0
"""The pause before a full log is tried again."""
FULL_PART: Final = 4
"""A batch that has no room, and would take more than this part of the log, is read again in smaller ones."""
FIRST_PAUSE_S: Final = 0.5
"""The pause before a broker that is away is tried again. Each one is twice as long as the one before."""
LONGEST_PAUSE_S: Final = 30.0
_STOP_S: Final = 30.0

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Waiting:
    """Somebody waits until the log has what the broker has now. Only the consumer's thread makes the mark and uses it."""

    reached: threading.Event
    mark: Mark | None = None


class Consumer:
    """Moves the records of one stream into one log.

    Args:
        connect: makes a stream from the positions of the log.
        decode: reads the records of a batch.
        log: only this consumer appends to it.
        clock: monotonic seconds.

    Attributes:
        connected: whether the broker is there now.
    """

    def __init__(
        self,
        connect: StreamFactory,
        decode: Callable[[Polled], Decoded],
        log: EventLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect, self._decode, self._log, self._clock = connect, decode, log, clock
        self._erased = clock()
        self._stream: Stream | None = None
        self._held: tuple[Polled, Decoded] | None = None
        self._pause, self._most = FIRST_PAUSE_S, MOST
        self._behind: int | None = None
        self._full = False
        self._trouble: str | None = None
        self.connected = False
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Consume in a thread until `stop`."""
        self._thread = threading.Thread(target=self.run, name="consumer", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """End the consumer after the batch that it works on. False: it still waits for its broker or a disk."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_STOP_S)
        return self._thread is None or not self._thread.is_alive()

    def run(self) -> None:
        """Consume until `stop`. Every error is tried again after a pause."""
        try:
            while not self._stopping.is_set():
                try:
                    pause = self.step()
                except Exception as error:  # noqa: BLE001 - a lack of memory or of temporary space, which may end, or a defect
                    pause = self._unexpected(error)
                if pause > 0:
                    self._stopping.wait(pause)
        finally:
            self._disconnect()

    def step(self) -> float:
        """Do the next step: connect, or read a batch and store it. Returns the seconds to wait before the next step."""
        try:
            self._erase_old()
            stream = self._connected()
            polled = self._read(stream)
            if self._held is not None:
                self._store(*self._held)
                self._held, self._most = None, min(2 * self._most, MOST)
                stream.done(polled.positions)
            self._behind = stream.behind()
            self._answer_waiting(stream)
        except LogFull as error:
            self._full = True
            self._shrink(error)
            return self._failed(str(error), FULL_S)
        except CoveyError as error:
            pause = self._pause
            self._pause = min(2 * pause, LONGEST_PAUSE_S)
            self._disconnect()  # also after an error of the log: its positions say what it has
            return self._failed(str(error), pause)
        self._pause, self._full, self._trouble = FIRST_PAUSE_S, False, None
        return 0.0

    def catch_up(self, seconds: float) -> bool:
        """Wait until the log has what the broker has now, at most so long. Returns whether it has."""
        waiting = self._asked()
        try:
            return waiting.reached.wait(seconds)
        finally:
            self._forget(waiting)

    def asked(self) -> threading.Event:
        """An event that is set once the log has what the broker has now."""
        return self._asked().reached

    def status(self) -> SourceStatus:
        """How far the stream and its log are. Any thread may ask."""
        counts = self._log.counts()
        life = counts.life
        return SourceStatus(
            connected=self.connected,
            behind=self._behind,
            kept=life.kept,
            duplicates=life.duplicates,
            bad=life.bad,
            future=life.future,
            expired=life.expired,
            lost=life.lost,
            log_bytes=counts.bytes,
            full=self._full,
            trouble=self._trouble,
        )

    def _asked(self) -> _Waiting:
        waiting = _Waiting(threading.Event())
        with self._lock:
            self._waiting.append(waiting)
        return waiting

    def _forget(self, waiting: _Waiting) -> None:
        with self._lock:
            self._waiting = [one for one in self._waiting if one is not waiting]

    def _erase_old(self) -> None:
        if (now := self._clock()) - self._erased >= ERASE_S:
            self._erased = now
            self._log.trim()

    def _connected(self) -> Stream:
        if self._stream is None:
            self._stream = self._connect(self._log.positions())
            self.connected = True
            _log.info("reading the stream")
        return self._stream

    def _read(self, stream: Stream) -> Polled:
        """The batch to store: the next one, or the one that had no room."""
        if self._held is not None:
            return self._held[0]
        polled = stream.poll(self._most, QUICK_S if self._waiting else POLL_S)
        if polled:
            self._held = polled, self._decode(polled)
        return polled

    def _store(self, polled: Polled, decoded: Decoded) -> None:
        events = decoded.table if decoded.table.num_rows else None
        self._log.append(events, positions=polled.positions, bad=decoded.bad, lost=polled.lost)
        if polled.lost:
            _log.warning("%d record(s) are lost: the broker had deleted them before they were read", polled.lost)

    def _shrink(self, error: LogFull) -> None:
        """Read a smaller batch in place of one that takes so much of the log's size that it may never fit."""
        if (
            self._held is not None
            and len(self._held[0].values) > 1
            and error.need - error.have > error.size // FULL_PART
        ):
            self._most = max(1, len(self._held[0].values) // 2)
            self._disconnect()

    def _answer_waiting(self, stream: Stream) -> None:
        with self._lock:
            waiting = list(self._waiting)
        for one in waiting:
            one.mark = one.mark or stream.mark()  # SourceAway leaves them all waiting
            if one.mark():
                one.reached.set()
                self._forget(one)

    def _unexpected(self, error: Exception) -> float:
        """An error that Covey does not expect. Its own text may quote a record, so only its type and place are shown."""
        self._disconnect()
        place = extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__} in {place.name}, line {place.lineno} of {place.filename}"
        return self._failed(f"the records of the stream cannot be processed: {why}", LONGEST_PAUSE_S)

    def _failed(self, trouble: str, pause: float) -> float:
        if self._trouble != trouble:
            self._trouble = trouble
            _log.warning("%s; trying again", trouble)
        return pause

    def _disconnect(self) -> None:
        """Close the stream. What it had read and the log has not is read again."""
        stream, self._stream, self.connected, self._held = self._stream, None, False, None
        with self._lock:
            for one in self._waiting:
                one.mark = None
        if stream is not None:
            with suppress(SourceAway):
                stream.close()
