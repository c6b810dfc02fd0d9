"""The routes of the page's files."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from covey.cli.mends import mend_of
from covey.errors import PageDamaged, PageNotFound

from .assets import Assets

_NOT_BUILT: Final = "The page of the console is not built: run `make console`.\n"
_METHODS: Final = ["GET", "HEAD"]


def page_router(assets: Assets) -> APIRouter:
    """The page, at every path that is not one of the API."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/{path:path}", methods=_METHODS)
    async def page(path: str, request: Request) -> Response:  # from memory, so no thread is needed
        try:
            asset = assets.find(path)
        except PageDamaged as error:  # what a browser shows instead of the page
            return Response(f"{error}\n{mend_of(error)}\n", error.status, media_type="text/plain")
        if asset is None and path == "":
            return Response(_NOT_BUILT, 503, media_type="text/plain")
        if asset is None:
            raise PageNotFound(path)
        headers = {"Cache-Control": asset.caching, "Vary": "Accept-Encoding"}
        data = asset.data
        if "gzip" in request.headers.get("accept-encoding", "") and len(asset.compressed) < len(data):
            data, headers = asset.compressed, {**headers, "Content-Encoding": "gzip"}
        return Response(data, headers=headers, media_type=asset.kind)

    return router
