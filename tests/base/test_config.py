"""Configuration files: every error names the file, the section, the key and the value, and says what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, Strict

from base.config import ConfigModel, FilePath, Flag, Real, Text, Texts, Whole, checked
from base.errors import USAGE, ConfigInvalid
from base.toml import MAX_BYTES, toml_entries


class Door(ConfigModel):
    width: Whole
    colour: Literal["red", "blue"] = "red"


class Roof(ConfigModel):
    slope: Annotated[Real, Field(ge=0, le=1)] = 0.5
    tiles: Texts = ()


class House(ConfigModel):
    name: Text
    plan: FilePath | None = None
    is_sold: Flag = False
    roof: Roof = Roof()
    door: Annotated[tuple[Door, ...], Strict(False)] = ()
    rooms: Annotated[int, Field(alias="room_count")] = 3


def read(folder: Path, text: str) -> House:
    path = folder / "house.toml"
    path.write_text(text, encoding="utf-8")
    return checked(House, toml_entries(path), path)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    house = read(
        tmp_path,
        'name = "a"\nplan = "p.pdf"\nroom_count = 7\n[roof]\nslope = 0.25\ntiles = ["x"]\n[[door]]\nwidth = 2\n'
        '[[door]]\nwidth = 3\ncolour = "blue"\n',
    )
    assert (house.name, house.plan, house.rooms, house.is_sold) == ("a", tmp_path / "p.pdf", 7, False)
    assert (house.roof.slope, house.roof.tiles) == (0.25, ("x",))
    assert [(door.width, door.colour) for door in house.door] == [(2, "red"), (3, "blue")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", 'name: the key is missing; write name = "…"'),
        ('name = ""', "name: write name = \"…\", not ''"),
        ("name = true", 'name: write name = "…", not true'),
        ('name = "a"\nis_sold = 1', "is_sold: write is_sold = true|false, not 1"),
        ('name = "a"\nroom_count = true', "room_count: write room_count = …, not true"),
        ('name = "a"\nzzz = 3', "zzz: unknown key. Known are name, plan, is_sold, roof, door, room_count"),
        ('nam = "a"', "nam: unknown key; did you mean name?"),
        ('name = "a"\nslope = 0.1', "slope: unknown key; did you mean [roof] slope?"),
        ('name = "a"\nplan = 5', "plan: write the path of a file as text, not 5"),
        ('name = "a"\nplan = ""', "plan: write the path of a file as text, not ''"),
        ('name = "a"\nroof = 3', "roof: write a section [roof], not 3"),
        ('name = "a"\n[roof]\nslope = 2', "[roof] slope: it must be at most 1, not 2"),
        ('name = "a"\n[roof]\nslope = -0.5', "[roof] slope: it must be at least 0, not -0.5"),
        ('name = "a"\n[roof]\nslope = nan', "[roof] slope: write slope = NUMBER, not NaN"),
        ('name = "a"\n[roof]\nslope = "1"', "[roof] slope: write slope = NUMBER, not '1'"),
        ('name = "a"\n[roof]\ntiles = "x"', "[roof] tiles: write tiles = [\"…\", …], not 'x'"),
        ('name = "a"\n[roof]\ntiles = [1]', '[roof] tiles: write tiles = ["…", …], not 1'),
        ('name = "a"\n[door]\nwidth = 1', "door: write a section [[door]], not a section"),
        ('name = "a"\n[[door]]\nwidth = 1\n[[door]]', "[[door]] 2 width: the key is missing; write width = N"),
        ('name = "a"\n[[door]]\nwidth = 0', "[[door]] 1 width: it must be at least 1, not 0"),
        (
            'name = "a"\n[[door]]\nwidth = 1\ncolour = "green"',
            "[[door]] 1 colour: it must be 'red' or 'blue', not 'green'",
        ),
        ("[[[", "the file is not TOML: "),
        ('name = "a"\nname = "b"', "the file is not TOML: "),
        ("a = " + "[" * 100_000, "the file is not TOML: "),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_mend(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        read(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'house.toml'}: {says}")
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == USAGE


def test_an_unknown_key_comes_before_the_one_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="widht: unknown key; did you mean width"):
        read(tmp_path, 'name = "a"\n[[door]]\nwidht = 3\n')


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        read(tmp_path, f'name = "a"\nis_sold = "{"x" * 10_000}"')
    assert len(refused.value.why) < 200


def test_what_is_no_file_of_this_size_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        toml_entries(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigInvalid, match="the file cannot be read"):
        toml_entries(tmp_path)
    large = tmp_path / "large.toml"
    large.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigInvalid, match=f"larger than {MAX_BYTES:,} bytes"):
        toml_entries(large)
    large.write_bytes(b'name = "\xff"')
    with pytest.raises(ConfigInvalid, match="the file is not TOML"):
        toml_entries(large)
