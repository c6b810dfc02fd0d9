"""How to read the values of a chart elsewhere: commands, and Python for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from base.times import SECOND_US, from_us, utc_text
from covey.console.api.form import Form
from covey.console.commands import command
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Key
from featurestore.define.values import served_features
from featurestore.errors import UnknownFeature
from featurestore.store import Store

from .charts import Between
from .keys import part_text, place_of


class Usage(Form):
    """How to read the same values elsewhere: commands, and a cell of a notebook."""

    history: str
    get: str | None
    notebook: str


def usage(
    directory: Path, store: Store, name: str, feature: str, cell: int, texts: Sequence[str], between: Between
) -> Usage:
    """Commands and Python. Raises UnknownView, UnknownVersion, UnknownFeature, UnknownKey."""
    view = store.view(name)
    served = {one.name: one for one in served_features(view)}
    if feature not in served:
        raise UnknownFeature(name, feature[:80], list(served))
    chosen = f".str[{cell}].astype(float)" if served[feature].is_list else ".astype(float)"
    keys = [] if view.entity.constant else [view.entity.domain[place_of(view, text)] for text in texts]
    start, end = between = _whole_seconds(between)
    options = [
        word for at, when in (("--from", start), ("--to", end)) if when is not None for word in (at, utc_text(when))
    ]
    history = command("covey", "history", name, "--store", str(directory), *options, "--out", f"{view.name}.parquet")
    words = [
        ",".join(f"{column}={part_text(part)}" for column, part in zip(view.entity.keys, key, strict=True))
        for key in keys
    ]
    is_readable = view.entity.constant or (words and not any("," in part_text(part) for key in keys for part in key))
    get = command("covey", "get", f"{name}:{feature}", *words, "--store", str(directory)) if is_readable else None
    return Usage(history=history, get=get, notebook=_notebook(directory, view, name, (feature, chosen), keys, between))


def _whole_seconds(between: Between) -> Between:
    """The same panes between whole seconds, which the command takes: every pane starts at one, so both bounds are rounded up."""
    start, end = (None if moment is None else -(-moment // SECOND_US) * SECOND_US for moment in between)
    return start, end


def _notebook(
    directory: Path, view: FeatureView, name: str, column: tuple[str, str], keys: Sequence[Key], between: Between
) -> str:
    """A cell that reads the history and draws it. Every text from the store is written as a literal of Python.

    Args:
        column: a feature, and what chooses a cell of a list.
    """
    (feature, chosen), (start, end) = column, between
    keys = keys if keys or view.entity.constant else view.entity.domain[:1]
    bounds = "".join(
        f", {argument}={_datetime(moment)}"
        for argument, moment in (("start", start), ("end", end))
        if moment is not None
    )
    lines = ["from datetime import UTC, datetime"] if bounds else []
    lines += [
        "from pathlib import Path",
        "",
        "import matplotlib.pyplot as plt",
        "",
        "from covey import Store",
        "",
        f"with Store.open(Path({str(directory)!r})) as store:",
        f"    rows = store.history({name!r}{bounds}).to_pandas()",
        'rows["pane_start"] = rows.pane_start.dt.tz_localize(None)  # UTC; matplotlib draws no empty column of a time zone',
        "",
    ]
    series = "rows"
    indent = ""
    if keys:
        columns = list(view.entity.keys)
        lines += [
            f"for key in {list(keys)!r}:",
            f"    own = rows[(rows[{columns!r}] == list(key)).all(axis=1)]",
        ]
        series, indent = "own", "    "
    names = f"({feature!r}, {f'{feature}__lo'!r}, {f'{feature}__hi'!r})"
    label = '", ".join(map(str, key))' if keys else repr(feature)
    lines += [
        f"{indent}value, low, high = ({series}[name]{chosen} for name in {names})",
        f"{indent}line = plt.plot({series}.pane_start, value, label={label})[0]",
        f"{indent}plt.fill_between({series}.pane_start, low, high, color=line.get_color(), alpha=0.2)  # 95 %",
        f"plt.ylabel({feature!r})",
        "plt.legend()",
    ]
    return "\n".join(lines) + "\n"


def _datetime(moment: int) -> str:
    when = from_us(moment)
    parts = [when.year, when.month, when.day, when.hour, when.minute, when.second]
    while len(parts) > 3 and parts[-1] == 0:
        parts.pop()
    return f"datetime({', '.join(map(str, parts))}, tzinfo=UTC)"
