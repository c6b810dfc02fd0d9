"""One client chooses the bytes of its row in a site's CSV file. The contributions of the other clients stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from featurestore.store import Store

VIEWS = """
from covey import Bounds, ClientCount, Count, Entity, FeatureView, Mean, Privacy

visits = FeatureView(
    "visits",
    entity=Entity("shop", domain=["a", "b"]),
    pane="1d",
    features=[ClientCount("people"), Count("visits"), Mean("spent", clip=(0, 100), resolution=1)],
    bounds=Bounds(max_cells=2, max_events_per_cell=2),
    privacy=Privacy(rho=0.5, min_clients=2),
)
"""
ROWS = [f'p{i},2020-05-0{1 + i % 2}T10:00:00Z,{"ab"[i % 3 > 0]},{10 * i},"note {i}"\n' for i in range(8)]
HOSTILE = (
    'evil,2020-05-01T10:00:00Z,a,50,"\n',
    f"evil,2020-05-01T10:00:00Z,a,50,{'z' * 3_000_000}\n",
    "evil,2020-05-01T10:00:00Z,elsewhere,much,\n",
    "evil,never,a,50,\n",
)
"""An unclosed quote, a field of 3 MB, a text in a number column, a missing time."""


def history(folder: Path, rows: list[str]) -> list[dict[str, Any]]:
    """What is published for these rows without noise: the exact sums."""
    folder.mkdir()
    (folder / "views.py").write_text(VIEWS)
    (folder / "events.csv").write_text("who,at,shop,spent,note\n" + "".join(rows))
    command = [
        sys.executable, "-m", "covey", "run", str(folder / "views.py"), "--events", str(folder / "events.csv"),
        "--client-column", "who", "--time-column", "at", "--store", str(folder / "store"), "--in-process",
        "--noise", "off", "--budget", "1", "--participation", "active",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Store.open(folder / "store") as store:
        return list(store.history("visits").drop(["published_at"]).to_pylist())


def test_hostile_rows_of_one_client_change_no_other_clients_contribution(tmp_path: Path) -> None:
    mixed = ROWS.copy()
    for at, row in enumerate(HOSTILE):
        mixed.insert(2 * at + 1, row)
    assert history(tmp_path / "hostile", mixed) == history(tmp_path / "honest", ROWS)
