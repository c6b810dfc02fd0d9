from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import ConfigInvalid
from featurestore.online.settings import OnlineSettings, OnlineUrl, directory_of
from featurestore.online.settings_file import load_settings


def load(directory: Path, text: str) -> OnlineSettings:
    (directory / "covey.toml").write_text(text)
    return load_settings(directory)


def test_without_a_file_or_a_table_the_rows_are_in_rocksdb(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == load(tmp_path, "[project]\nname = 'x'\n") == OnlineSettings(1024, None)


@pytest.mark.parametrize(
    ("text", "shown", "address", "cluster"),
    [
        ("redis://localhost", "redis://localhost", "redis://localhost", False),
        ("redis://localhost:6380/3", "redis://localhost:6380/3", "redis://localhost:6380/3", False),
        ("redis://[::1]:7/", "redis://[::1]:7/", "redis://[::1]:7/", False),
        ("redis://:secret@localhost/1", "redis://:***@localhost/1", "redis://:secret@localhost/1", False),
        ("rediss://me:s%40cret@host", "rediss://me:***@host", "rediss://me:s%40cret@host", False),
        (
            "rediss://h?ssl_ca_certs=/ca.pem",
            "rediss://h?ssl_ca_certs=/ca.pem",
            "rediss://h?ssl_ca_certs=/ca.pem",
            False,
        ),
        ("unix:///run/v.sock?db=2", "unix:///run/v.sock?db=2", "unix:///run/v.sock?db=2", False),
        ("unix://me:secret@/run/v.sock", "unix://me:***@/run/v.sock", "unix://me:secret@/run/v.sock", False),
        (
            "redis+cluster://me:secret@localhost:7000",
            "redis+cluster://me:***@localhost:7000",
            "redis://me:secret@localhost:7000",
            True,
        ),
        ("rediss+cluster://host/0", "rediss+cluster://host/0", "rediss://host/0", True),
    ],
)
def test_a_url_is_shown_without_its_password(
    tmp_path: Path, text: str, shown: str, address: str, cluster: bool
) -> None:
    settings = load(tmp_path, f'[online]\nblock_mib = 7\nurl = "{text}"\n')
    url = settings.url
    assert url is not None
    assert (settings.block_mib, str(url), url.address, url.cluster) == (7, shown, address, cluster)
    assert "cret" not in repr(settings) + repr(url) + f"{url}"


@pytest.mark.parametrize(
    "text",
    ["", "host", "http://host", "redis://", "redis://host/x", "redis://host/0/1", "redis://host?db=1", "redis://host#1",
     "redis://host:p0rt", "redis://host:70000", "redis://:se/cret@host", "redis://:1/secret@host", "redis://u:1?secret@host",
     "redis://ho st", "redis://host/123456789", "rediss://host?ssl_cert_reqs=none", "unix://host/path", "unix:///",
     "unix:///path?db=x", "unix:///path?db=1&db=2", "redis+cluster://host/1", "unix+cluster:///path"],
)  # fmt: skip
def test_what_is_no_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="url is redis://") as caught:
        OnlineUrl.of(text)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_clear_text_to_another_machine_is_refused_unless_the_url_says_so(scheme: str) -> None:
    with pytest.raises(ValueError, match=r"in clear text.*write rediss://, or end the url with \?tls=no") as caught:
        OnlineUrl.of(f"{scheme}://me:secret@features.internal:6379")
    assert "secret" not in str(caught.value)
    url = OnlineUrl.of(f"{scheme}://features.internal:6379?tls=no")
    assert url.address == "redis://features.internal:6379"
    for odd in ("tls=yes", "tls=no&tls=no", "tls=no&db=1"):
        with pytest.raises(ValueError, match="options are invalid"):
            OnlineUrl.of(f"{scheme}://features.internal?{odd}")
    with pytest.raises(ValueError, match="options are invalid"):
        OnlineUrl.of("rediss://features.internal?tls=no")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("online = 3", r"online: write a section \[online\]"),
        (
            "[online]\nblok_mib = 3",
            r"\[online\] blok_mib: unknown key; did you mean block_mib\? Known are block_mib, url",
        ),
        ("[online]\nblock_mib = -1", r"\[online\] block_mib: it must be at least 0, not -1"),
        ("[online]\nblock_mib = true", "block_mib: write block_mib = MIB, not true"),
        ("[online]\nurl = 3", "url: its scheme is unknown"),
        ("[online]\nurl = 'redis://:secret@h:p'", "url: it is not a URL"),
        ("[online", "the file is not TOML"),
    ],
)
def test_odd_settings_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigInvalid, match=says) as caught:
        load(tmp_path, text)
    assert "secret" not in str(caught.value)


def test_the_folder_of_a_store_belongs_to_the_directory_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, folder = tmp_path / "flights", tmp_path / "flights" / "store"
    folder.mkdir(parents=True)
    assert directory_of(folder) == folder  # not a store yet
    (folder / "registry.db").touch()
    assert directory_of(folder) == directory_of(project) == project
    monkeypatch.chdir(tmp_path)
    assert directory_of(Path("flights/store")) == Path("flights")
    monkeypatch.chdir(folder)
    assert directory_of(Path()) == project
    (folder / "store").mkdir()  # a directory called `store` that holds a store
    assert directory_of(folder) == folder
