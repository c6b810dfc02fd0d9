"""`/docs`: the OpenAPI document as one page of HTML. It has no script and loads nothing from anywhere.

The page needs no template engine: Jinja2 is a dependency of the laboratory, not of a store.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import Any, Final

from fastapi import FastAPI, Response

PATH: Final = "/docs"

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:14px/1.4 ui-monospace,monospace;background:#f4f4f4}"
    "pre{padding:.5rem;overflow-x:auto}h2{border-top:1px solid #ccc;padding-top:1rem}"
)
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def add_docs(app: FastAPI) -> None:
    """Add the page to an app without FastAPI's own pages."""

    @app.get(PATH, include_in_schema=False)
    async def docs() -> Response:
        return Response(page(app.openapi()), headers=HEADERS, media_type="text/html")


def page(document: dict[str, Any]) -> str:
    """An OpenAPI document as HTML."""
    title, about = escape(document["info"]["title"]), escape(document["info"].get("description", ""))
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>',
        f'<h1>{title}</h1><p>{about} For programs: <a href="/openapi.json">openapi.json</a>.</p>',
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>")
            parts += [f"<p>{escape(operation[text])}</p>" for text in ("summary", "description") if text in operation]
            parts += [_parameter(one) for one in operation.get("parameters", ())]
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                parts.append(f"<p>Body: <code>{escape(kind)}</code></p>{_schema(content)}")
            for status, answer in operation.get("responses", {}).items():
                parts.append(f"<p><code>{escape(status)}</code> {escape(answer.get('description', ''))}</p>")
                parts += [_schema(content) for content in answer.get("content", {}).values() if status == "200"]
    schemas = document.get("components", {}).get("schemas", {})
    parts += [f"<h2>{escape(name)}</h2>{_schema({'schema': schema})}" for name, schema in schemas.items()]
    return "".join(parts)


def _parameter(one: dict[str, Any]) -> str:
    shown = f"<code>{escape(one['name'])}</code> ({escape(one['in'])}): {escape(one.get('description', ''))}"
    return f"<p>Parameter {shown}</p>"


def _schema(content: dict[str, Any]) -> str:
    return f"<pre>{escape(json.dumps(content.get('schema', {}), indent=1, ensure_ascii=False))}</pre>"
