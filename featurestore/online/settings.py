"""The section `[online]` of a store's covey.toml: where the online rows are, and how large a block may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import SplitResult, parse_qsl, urlsplit

from base.tls.hosts import is_loopback

FILE: Final = "covey.toml"
TABLE: Final = "online"
SERVING: Final = "serving"
"""The section of the models that are served beside the features, which `training.serving.settings` reads."""
MIB: Final = 2**20
MAX_FILE_BYTES: Final = 64 * MIB
"""The most bytes of a covey.toml: its roster has about 300 bytes a site."""

_STORE: Final = "store"
_CLUSTER: Final = "+cluster"
_SCHEMES: Final = ("redis", "rediss", "unix", "redis" + _CLUSTER, "rediss" + _CLUSTER)
_FORMS: Final = (
    "url is redis://[user:password@]host[:port][/number], rediss:// (TLS), unix:///path, or redis+cluster:// or "
    "rediss+cluster://host[:port]"
)
_CLEAR: Final = "tls"
"""The option `?tls=no` of a `redis://` URL."""
_TLS_FILES: Final = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})


_PORT: Final = 6379


@dataclass(frozen=True)
class TlsOfUrl:
    """Where a `rediss://` server is, and the files of TLS with it.

    Attributes:
        authority, certificate, key: `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile`.
    """

    host: str
    port: int
    authority: str | None
    certificate: str | None
    key: str | None


@dataclass(frozen=True)
class OnlineUrl:
    """The URL of a Redis or Valkey server. `text` may hold its password; `str` and `repr` hide it."""

    text: str = field(repr=False)
    shown: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Parse a URL. Raises ValueError, whose message does not repeat the text."""
        try:
            parts = urlsplit(text)
            port, options = parts.port, parse_qsl(parts.query, keep_blank_values=True)
        except ValueError:  # its message may hold the password
            raise ValueError(f"it is not a URL; {_FORMS}") from None
        if parts.scheme not in _SCHEMES or parts.fragment or " " in text or not text.isprintable():
            raise ValueError(f"its scheme is unknown; {_FORMS}")
        if _is_odd(parts, port, dict(options)) or len(dict(options)) < len(options):
            raise ValueError(f"its host, path or options are invalid (a cluster has only database 0); {_FORMS}")
        host = parts.hostname or ""
        if parts.scheme.startswith("redis") and not parts.scheme.startswith("rediss") and not options:
            _require_private(host)
        head, at, netloc = parts.netloc.rpartition("@")
        user, colon, _ = head.partition(":")
        who = f"{user}:***" if colon else user
        query = f"?{parts.query}" if parts.query else ""
        return cls(text, f"{parts.scheme}://{who}{at}{netloc}{parts.path}{query}")

    def __str__(self) -> str:
        return self.shown

    @property
    def cluster(self) -> bool:
        """Whether the URL names a node of a Redis Cluster."""
        return _CLUSTER in self.text.partition("://")[0]

    @property
    def address(self) -> str:
        """The URL for redis-py, with the password."""
        text = self.text.replace(_CLUSTER, "", 1) if self.cluster else self.text
        return text.removesuffix(f"?{_CLEAR}=no")

    @property
    def tls(self) -> TlsOfUrl | None:
        """Where and how the server is reached by TLS; None: without."""
        parts = urlsplit(self.text)
        if not parts.scheme.startswith("rediss"):
            return None
        files = dict(parse_qsl(parts.query))
        return TlsOfUrl(parts.hostname or "", parts.port or _PORT, *map(files.get, sorted(_TLS_FILES)))


def _is_odd(parts: SplitResult, port: int | None, options: Mapping[str, str]) -> bool:
    """Whether a URL of a known scheme has parts that its scheme does not allow."""
    if parts.scheme == "unix":
        elsewhere = bool(parts.hostname) or port is not None or len(parts.path) < 2
        return elsewhere or bool(options.keys() - {"db"}) or not _is_number(options.get("db", "0"))
    number = parts.path.removeprefix("/") or "0"
    if not parts.hostname or not _is_number(number) or (_CLUSTER in parts.scheme and number != "0"):
        return True
    if parts.scheme.startswith("rediss"):
        return bool(options.keys() - _TLS_FILES)
    return bool(options) and dict(options) != {_CLEAR: "no"}


def _require_private(host: str) -> None:
    """Raise ValueError unless a host is this machine."""
    if not is_loopback(host):
        raise ValueError(
            f"redis:// to {host} is in clear text, so others on the network could read and change rows: write rediss://, or end "
            f"the url with ?{_CLEAR}=no for a network that only its operator reaches"
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6


@dataclass(frozen=True)
class OnlineSettings:
    """The settings of a store's newest rows.

    Attributes:
        block_mib: the largest block of one view, MiB; the rows of a larger view are read from the online store.
        url: the Redis or Valkey server of the online store; None: RocksDB in the store's directory.
    """

    block_mib: int = 1024
    url: OnlineUrl | None = None

    @property
    def max_block_bytes(self) -> int:
        """`block_mib` in bytes."""
        return self.block_mib * MIB


def store_path(directory: Path) -> Path:
    """The store's folder in a project directory."""
    return directory / _STORE


def directory_of(where: Path) -> Path:
    """The project directory of a store: `where` itself, or its parent if `where` is the store's folder in it."""
    folder = where.absolute()
    if folder.name != _STORE or not (folder / "registry.db").is_file() or store_path(folder).exists():
        return where
    return where.parent if where.name == _STORE else folder.parent
