"""`covey serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def serve(
    store: Annotated[Path, typer.Option("--store", help="The store's directory.")],
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="The port; 0 finds a free one.")] = 6566,
) -> None:
    """Serve the newest releases over HTTP in Feast's wire format; new ones appear without a restart."""
    from featurestore.blocks import Blocks
    from featurestore.publish import store_path
    from featurestore.server.app import FeatureServer
    from featurestore.server.listen import open_socket, url_of
    from featurestore.server.listen import serve as answer
    from featurestore.store import Store

    talk = Console(stderr=True, highlight=False, soft_wrap=True)
    with Store.open(store) as opened:
        views = [view.name for view in opened.views()]
    blocks = Blocks(store_path(store) / "blocks")
    without = [name for name in views if name not in blocks.snapshot.blocks]
    if without:
        talk.print(f"not served yet: {', '.join(without)}; the next publication into this store adds them")
    with open_socket(host, port) as listening:
        url = url_of(listening)
        talk.print(f"serving {len(views) - len(without)} view(s) at {url}", markup=False)
        talk.print(f"POST {url}/get-online-features (Feast's format); GET {url}/health, {url}/docs", markup=False)
        try:
            answer(FeatureServer(blocks), listening)
        except KeyboardInterrupt:  # SIGINT and SIGTERM are how a server ends, not failures
            talk.print("stopped")
