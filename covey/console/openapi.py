"""`python -m covey.console.openapi`: prints the OpenAPI document of `/console/api`, from which the page's types are made."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from fastapi.openapi.utils import get_openapi

from featurestore.publish.publish import Publisher
from featurestore.server.refusal import MEDIA_TYPE
from featurestore.store import Store

from .assets import AssetFiles
from .console import Console, ConsoleInputs
from .extension import app_of
from .gate import PREFIX
from .sessions import Sessions


def document() -> dict[str, Any]:
    """The document. It depends on the code only."""
    with tempfile.TemporaryDirectory(prefix="covey-console-") as folder:
        directory = Path(folder)
        with Publisher(directory, lambda: 0):
            pass
        with Store.open(directory) as store:
            console = Console(directory, store, ConsoleInputs(), lambda: 0, bytes)
            app = app_of(console, Sessions(None, "", lambda: 0.0, bytes), AssetFiles(), cookie="", secure=True)
    found = get_openapi(title=app.title, version="1", routes=app.routes)
    for item in found["paths"].values():
        for operation in item.values():
            content = operation["responses"]["default"]["content"]
            # FastAPI describes an error with the media type of an answer that succeeds
            content[MEDIA_TYPE] = content.pop("application/json")
    return {**found, "paths": {f"{PREFIX}{path}": item for path, item in found["paths"].items()}}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n")
