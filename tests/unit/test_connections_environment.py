"""Connections that are described in the environment or in `.env`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.app import Penstock, Settings, reset
from penstock.connections import BadFields, Connection, HttpConnection, PostgresConnection, Secret, SqlConnection, shelf
from penstock.core.errors import BadConnection, ConfigurationError, ConnectionNotFound
from penstock.engine.connections.environment import dotenv

URL = "postgresql://etl:sesame@db/shop"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, and we are in it."""
    made = tmp_path / "project"
    (made / "deeper").mkdir(parents=True)
    (made / "pyproject.toml").write_text("")
    monkeypatch.chdir(made / "deeper")
    return made


@pytest.fixture
def penstock(tmp_path: Path) -> Iterator[Penstock]:
    app = Penstock(Settings(home=str(tmp_path / "home")))
    with app.activate():
        yield app
    app.close()


def test_a_url(monkeypatch: pytest.MonkeyPatch, penstock_home: Path) -> None:
    monkeypatch.setenv("PENSTOCK_CONNECTION_WARE_HOUSE", f" {URL} ")
    for name in ("ware-house", "ware_house"):
        found = PostgresConnection.load(name)
        assert (found.name, found.host, found.password) == (name, "db", Secret("sesame"))
    assert not penstock_home.exists(), "no journal is needed"
    reset()


def test_json(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"type": "http", "base_url": "https://x", "auth": "bearer", "token": "t", "headers": {"a": "b"}}
    monkeypatch.setenv("PENSTOCK_CONNECTION_API", json.dumps(given))
    found = HttpConnection.load("api")
    assert (found.token, found.headers) == (Secret("t"), {"a": "b"})
    monkeypatch.setenv("PENSTOCK_CONNECTION_API", json.dumps({"type": "postgres", "url": URL, "password": "other"}))
    assert PostgresConnection.load("api").password == Secret("other"), "a field goes before the URL"
    monkeypatch.setenv("PENSTOCK_CONNECTION_API", "sqlite:///x.db")
    assert SqlConnection.load("api").url.reveal() == "sqlite:///x.db"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("sesame", "no URL of a known kind"),
        ("sesame://sesame", "no URL of a known kind"),
        ('{"type": "postgres", "host": "sesame"', "JSON ends or goes wrong at character 38"),
        ('{"host": "sesame"}', 'the JSON has no "type"'),
        ('{"type": "sesame"}', "its type is not known"),
        ('{"type": ["sesame"]}', 'the JSON has no "type"'),
        ('{"type": "postgres", "port": "sesame", "pool_min": -1}', "2 mistakes in PENSTOCK_CONNECTION_X"),
        ('{"type": "postgres", "nested": {"a": "sesame"}}', "nested: is not a field"),
        ("postgresql://u:ses?ame@h", "percent-encoded"),
    ],
)
def test_what_cannot_be(value: str, says: str, monkeypatch: pytest.MonkeyPatch, penstock: Penstock) -> None:
    monkeypatch.setenv("PENSTOCK_CONNECTION_X", value)
    with pytest.raises((BadConnection, BadFields)) as caught:
        Connection.load("x")
    assert says in str(caught.value)
    assert "sesame" not in str(caught.value)
    assert [(each.name, each.place) for each in shelf().listed()] == [("x", "environment")], "it is listed all the same"


def test_what_goes_before_what(folder: Path, penstock: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    def host() -> str:
        return PostgresConnection.load("ware-house").host

    PostgresConnection(host="saved").save("ware-house")
    assert (host(), shelf().find("ware-house").place) == ("saved", "saved")
    (folder / ".env").write_text("PENSTOCK_CONNECTION_WARE_HOUSE=postgresql://written\n", encoding="utf-8-sig")
    assert (host(), shelf().find("ware-house").place) == ("written", ".env")
    monkeypatch.setenv("PENSTOCK_CONNECTION_WARE_HOUSE", "postgresql://around")
    assert (host(), shelf().find("ware-house").place) == ("around", "environment")
    monkeypatch.setenv("PENSTOCK_CONNECTION_OTHER", "postgresql://around")
    assert [(each.name, each.place, each.hides) for each in shelf().listed()] == [
        ("other", "environment", False),
        ("ware-house", "environment", True),
    ]
    with pytest.raises(ConnectionNotFound, match=r"(?s)is not saved: .*_OTHER.*Hint: unset PENSTOCK_CONNECTION_OTHER"):
        shelf().delete("other")
    shelf().delete("ware-house")
    monkeypatch.setenv("PENSTOCK_CONNECTION_WARE_HOUSE", "")
    assert host() == "written", "an empty variable is none"


def test_the_key_may_be_in_dotenv(folder: Path, penstock: Penstock, tmp_path: Path) -> None:
    key = "A" * 43 + "="
    (folder / ".env").write_text(f"PENSTOCK_KEY='{key}'\n")
    PostgresConnection(host="saved").save("w")
    assert not (tmp_path / "home" / "connections.key").exists()
    assert PostgresConnection.load("w").host == "saved"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("  A =  b  ", "b"),
        ("export A=b\r\n", "b"),
        ("# A=a\n\nA=b # said so", "b"),
        ("A=b#c", "b#c"),
        ("A=a\nA=b", "b"),
        ("A= # nothing", None),
        ("A=a\nA=", None),
        ("A=it's", "it's"),
        ("A=$HOME ${X}", "$HOME ${X}"),
        ("A='it is # $x \\n'  # comment", "it is # $x \\n"),
        ('A="say \\"so\\"\\n\\\\ # $x"', 'say "so"\n\\ # $x'),
        ("A='two\nlines'\nB=c", "two\nlines"),
        ('A="two\nlines"', "two\nlines"),
        ('A={"a": "b # c"}', '{"a": "b'),
        ('A=\'{"a": "b # c"}\'', '{"a": "b # c"}'),
        ("A.b=c\nA=☃", "☃"),
    ],
)
def test_how_dotenv_is_read(text: str, value: str | None) -> None:
    found, wrong = dotenv(Secret(text))
    assert wrong is None
    assert found.get("A") == (Secret(value) if value is not None else None)


@pytest.mark.parametrize(
    ("text", "line"),
    [("A", 1), ("A=b\n\n=c", 3), ("A='b", 1), ('A=b\nB="c', 2), ("A='b' c", 1), ("A=b\n'x'", 2), ("1A=b", 1)],
)
def test_a_line_of_dotenv_that_cannot_be_read(text: str, line: int, folder: Path) -> None:
    (folder / ".env").write_text(text)
    with pytest.raises(ConfigurationError, match=rf"\.env, line {line} cannot be read"):
        Connection.load("x")


def test_dotenv_that_is_no_text(folder: Path) -> None:
    (folder / ".env").write_bytes(b"A=\xff")
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        Connection.load("x")
    (folder / ".env").unlink()
    (folder / ".env").mkdir()
    with pytest.raises(ConnectionNotFound):
        Connection.load("x")
    reset()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")))
def test_a_value_in_double_quotes_comes_back(value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    found, wrong = dotenv(Secret(f'A="{quoted}" # comment\nB=c\n'))
    assert wrong is None
    assert found["B"] == Secret("c")
    assert found.get("A", Secret("")) == Secret(value)
