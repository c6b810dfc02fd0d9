"""A page that stands by itself: one HTML file with its style and pictures inside, which runs nothing and asks nobody for anything.

Whatever is not `Html` is escaped. The page's policy forbids scripts and requests, so that a mistake here would show as a gap.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from base.atomic_files import replace_file

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_VOID: Final = frozenset({"meta", "br"})
_PRECISE: Final = 3
"""Digits of a number that is no whole one."""
_LONG: Final = 24
"""Characters from which on a cell is given room to break its lines in."""
_GROUPED, _PLAIN, _SMALL = 10**6, 1000, 1e-3
_ISOLATES: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
"""Characters that turn the direction of the text around them."""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str) -> Html:
    """An element. Children that are no `Html` are escaped; an attribute `class_` is `class`, `aria_label` `aria-label`."""
    head = "".join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{head}>")
    return Html(f"<{name}{head}>{joined(children)}</{name}>")


def joined(parts: Iterable[str], between: str = "") -> Html:
    """Parts one after the other; those that are no `Html` are escaped."""
    return Html(between.join(part if isinstance(part, Html) else _escaped(part) for part in parts))


def _escaped(text: str) -> str:
    return html.escape(text.translate(_ISOLATES))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> Html:
    """A table that scrolls by itself where it is too wide; cells that look like numbers stand to the right."""
    lines = [tag("tr", *(_cell(cell) for cell in row)) for row in rows]
    top = tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in head)))
    drawn = tag("div", tag("table", top, tag("tbody", *lines), aria_label=caption), class_="wide")
    return joined((tag("p", caption, class_="caption"), drawn)) if caption else drawn


def _cell(text: str) -> Html:
    looks = text[:1].isdigit() or text[:1] in ("–", "−", "<", "±")
    if looks:
        return tag("td", text, class_="number")
    return tag("td", text, class_="long") if len(text) > _LONG else tag("td", text)


def terms(pairs: Iterable[tuple[str, str]]) -> Html:
    """A list of names and what they are."""
    return tag("dl", *(part for name, what in pairs for part in (tag("dt", name), tag("dd", what))))


def section(title: str, *children: str) -> Html:
    """A section with its heading; a child that is no `Html` is a paragraph."""
    parts = (child if isinstance(child, Html) else tag("p", child) for child in children)
    return tag("section", tag("h2", title), *parts)


def page(title: str, *children: Html) -> str:
    """The whole document."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    body = tag("body", tag("main", tag("h1", title), *children))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def write_page(path: Path, text: str) -> None:
    """Write the document, whole or not at all."""
    replace_file(path, text, private=False, durable=False)


def number(value: object) -> str:
    """A number for people; `–` where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return "–"
    sign, size = "−" if value < 0 else "", abs(value)
    if math.isinf(size):
        return f"{sign}∞"
    if size == int(size) and size < _GROUPED * 1000:
        return f"{sign}{int(size):,}"
    if size >= _GROUPED or size < _SMALL:
        digits, exponent = f"{size:.2e}".split("e")
        return f"{sign}{digits}·10{str(int(exponent)).translate(_RAISED)}"
    if size >= _PLAIN:
        return f"{sign}{size:,.0f}"
    return f"{sign}{size:.{_PRECISE}g}"


_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def interval(estimate: object, low: object, high: object) -> str:
    """`0.59 (0.51 … 0.66)`."""
    return f"{number(estimate)} ({number(low)} … {number(high)})"


def percent(value: object) -> str:
    """`3.1 %`."""
    return f"{number(100 * value)} %" if isinstance(value, int | float) else "–"


STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--faint:#5b6470;--line:#d5dae0;--back:#fff;--panel:#f6f8fa;--bad:#a8201a}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ec;--faint:#9aa5b1;--line:#3a424c;--back:#14181d;--panel:#1c2229;--bad:#ff8f85}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.55 system-ui,"DejaVu Sans",sans-serif}
main{max-width:62rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:.5rem 0 1rem}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.2rem}
p,li{max-width:46rem}
.wide{overflow-x:auto;margin:.2rem 0 1rem}
table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums}
.caption,figcaption{color:var(--faint);font-size:.86rem;max-width:46rem;margin:.3rem 0}.caption{margin-top:1.4rem;break-after:avoid}
th,td{padding:.28rem .7rem .28rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{font-weight:600}td{min-width:4.2rem}td.number{white-space:nowrap}td.long{min-width:13rem}
figure{margin:1.2rem 0;break-inside:avoid}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(17rem,100%),1fr));gap:.6rem}
.panels>div{background:var(--panel);border-radius:4px;padding:.4rem}
.panels svg{display:block;width:100%;height:auto;max-width:26rem;margin:0 auto}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;font-size:.86rem;list-style:none;margin:.3rem 0;padding:0}
.legend i{display:inline-block;width:1.4em;height:.28em;border-radius:2px;vertical-align:middle;margin-right:.45em}
dl{display:grid;grid-template-columns:minmax(8rem,auto) 1fr;gap:.15rem 1rem;font-size:.9rem;max-width:52rem}
dt{color:var(--faint)}dd{margin:0;overflow-wrap:anywhere}
pre{background:var(--panel);padding:.7rem;overflow-x:auto;font-size:.82rem}
.bad{color:var(--bad);font-weight:600}
@media(max-width:40rem){body{font-size:15px}dl{grid-template-columns:1fr}dt{margin-top:.5rem}}
@media print{:root{--ink:#000;--faint:#444;--line:#bbb;--back:#fff;--panel:#fff;--bad:#900}main{max-width:none;padding:0}
.wide{overflow:visible}body{font-size:10pt}table{font-size:8pt}td,td.long{min-width:0}td.number{white-space:normal}h2{break-after:avoid}tr{break-inside:avoid}}
"""
