"""`covey predict --labels`: predictions for the rows of a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .release_clock import ReleaseClock

if TYPE_CHECKING:
    from featurestore.define.release import Clock
    from training.serving.scoring.rows import Moment


@dataclass(frozen=True)
class FileScoring:
    """The options of `covey predict` that are for a file, as they were given."""

    labels: Path
    out: Path | None
    time: str | None
    newest: bool
    keep: tuple[str, ...]
    rename: tuple[str, ...]
    clock: ReleaseClock | None
    batch: int | None
    force: bool

    def run(self, store: Path, model: str, views: Path | None, keys: list[str], *, trust: bool, as_json: bool) -> None:
        """Score the file, and report what was written.

        Raises:
            UsageError: options that do not fit together, or an output that exists.
        """
        from deployment.errors import UsageError
        from deployment.inspect.row_file import counted, stored_rows, write_rows
        from deployment.inspect.row_keys import renamed_columns
        from deployment.printing.console import progress_bars, talk_console
        from featurestore.define.views_file import load_declared
        from featurestore.store import Store
        from training.lineage import require_same
        from training.serving.kinds.loading import Loading
        from training.serving.kinds.open_runner import open_runner
        from training.serving.scoring.rows import RowsToScore
        from training.serving.scoring.score import BATCH, BATCH_S, score
        from training.serving.signature import ModelSignature

        from .read_options import report_written

        if keys:
            raise UsageError("--labels has the join keys of all rows; leave out k=v")
        out = self._writable()
        on_demand = () if views is None else load_declared(views, need_views=False).on_demand
        with Store.open(store, on_demand=on_demand) as opened:
            found = opened.model(model)
            require_same(found, opened, views)
            signature = ModelSignature.of(found)
            rows = RowsToScore(
                self.labels,
                self._moment(opened.clock()),
                signature.columns,
                {name: column for column, name in renamed_columns(self.rename).items()},
                signature.constants,
                self.keep or None,
            )
            runner = open_runner(found, Loading(trust=trust, compile=False, limit_s=BATCH_S))
            try:
                kind: Clock | None = None if self.clock is None else self.clock.value
                scored = score(opened, found, runner, rows, kind, self.batch or BATCH)
                if as_json:
                    count = write_rows(scored.batches, scored.schema, out)
                else:
                    with progress_bars(talk_console()) as progress:
                        count = write_rows(
                            counted(scored.batches, stored_rows(self.labels), progress, "predict"), scored.schema, out
                        )
            finally:
                runner.close()
        if as_json:
            typer.echo(json.dumps({"model": str(found), "rows": count, "path": str(out)}))
        else:
            report_written(count, out, as_json=False)

    def _writable(self) -> Path:
        from deployment.errors import UsageError
        from deployment.inspect.row_file import require_writable

        if self.out is None:
            raise UsageError("--labels needs --out FILE, where the predictions go")
        require_writable(self.out, self.labels)
        if self.out.exists() and not self.force:
            raise UsageError(f"{self.out} exists; --force replaces it")
        return self.out

    def _moment(self, now_us: int) -> Moment:
        from deployment.errors import UsageError
        from training.serving.scoring.rows import AtLabelTimes, AtOnce

        if (self.time is None) != self.newest:
            raise UsageError(
                "--labels needs either --time COLUMN, for the values that were released at each row's time, or --newest"
            )
        return AtOnce(now_us) if self.time is None else AtLabelTimes(self.time)


def require_no_file_options(*given: object, newest: bool, force: bool) -> None:
    """Return if no option of a file was given without a file. Raises UsageError."""
    from deployment.errors import UsageError

    if newest or force or any(given):
        raise UsageError("--out, --time, --newest, --keep, --rename, --clock, --batch and --force need --labels FILE")


def require_no_interval(level: float | None) -> None:
    """Return if no interval was asked for with a file. Raises UsageError."""
    from deployment.errors import UsageError

    if level is not None:
        raise UsageError("--interval is for rows on the command line, not for --labels")
