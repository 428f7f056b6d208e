"""Saved connections: sealed in the journal, overwritten, deleted, and sealed anew."""

from __future__ import annotations

import base64
import os
import pickle
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from penstock.app import Penstock, Settings
from penstock.connections import (
    BadFields,
    Connection,
    ConnectionLocked,
    HttpConnection,
    PostgresConnection,
    Secret,
    shelf,
)
from penstock.core.errors import BadConnection, ConfigurationError, ConnectionNotFound, MissingExtra
from penstock.core.events import Append, Event, Record
from penstock.core.sealed import ConnectionSaved, SealedConnection
from penstock.engine.connections import sealing
from penstock.engine.connections.keys import Keys
from penstock.engine.connections.shelf import Shelf, shelf_at
from penstock.journal import MemoryJournal, SqliteJournal

WAREHOUSE = PostgresConnection(host="db", user="etl", password="open sesame ☃")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def penstock(home: Path) -> Iterator[Penstock]:
    app = Penstock(Settings(home=str(home)))
    with app.activate():
        yield app
    app.close()


def events(app: Penstock, name: str) -> list[Event]:
    return [stored.event for stored in app.journal.load(f"connection/{name}")]


def key_lines(home: Path) -> list[str]:
    return [line for line in (home / "connections.key").read_text().splitlines() if not line.startswith("#")]


def test_save_and_load(penstock: Penstock) -> None:
    saved = WAREHOUSE.replace().save("warehouse")
    assert saved.name == "warehouse"
    for cls in (Connection, PostgresConnection):
        found = cls.load("warehouse")
        assert isinstance(found, PostgresConnection)
        assert (found, found.name) == (WAREHOUSE, "warehouse")
        assert found.password is not None
        assert found.password.reveal() == "open sesame ☃"
    (told,) = events(penstock, "warehouse")
    assert isinstance(told, ConnectionSaved)
    assert (told.name, told.type, told.again) == ("warehouse", "postgres", False)


def test_every_kind_of_field_comes_back(penstock: Penstock) -> None:
    made = HttpConnection(
        base_url="https://x", auth="api-key", api_key="a\nb\x00", headers={"a": "ä"}, verify=False, timeout_seconds=2.5
    )
    made.save("api")
    assert Connection.load("api") == made
    with pytest.raises(BadConnection, match="is of the type http, and not postgres"):
        PostgresConnection.load("api")


def test_overwriting_and_deleting(penstock: Penstock) -> None:
    WAREHOUSE.replace().save("warehouse")
    other = WAREHOUSE.replace(password="other")
    with pytest.raises(BadConnection, match="There is a connection 'warehouse' already"):
        other.save("warehouse")
    assert Connection.load("warehouse") == WAREHOUSE
    other.save("warehouse", overwrite=True)
    assert Connection.load("warehouse") == other
    shelf().delete("warehouse")
    with pytest.raises(ConnectionNotFound):
        Connection.load("warehouse")
    with pytest.raises(ConnectionNotFound):
        shelf().delete("warehouse")
    WAREHOUSE.replace().save("warehouse")
    assert Connection.load("warehouse") == WAREHOUSE
    assert [event.stored for event in events(penstock, "warehouse")] == [
        "ConnectionSaved", "ConnectionSaved", "ConnectionDeleted", "ConnectionSaved",
    ]  # fmt: skip


def test_a_connection_without_a_type_is_not_saved(penstock: Penstock) -> None:
    class Nameless(Connection):
        host: str

    with pytest.raises(BadConnection, match="has no type"):
        Nameless(host="h").save("x")


def test_a_connection_is_not_called_as_a_list_of_the_api(penstock: Penstock) -> None:
    with pytest.raises(BadConnection, match="cannot be called 'types'"):
        WAREHOUSE.replace().save("types")
    assert penstock.journal.connections() == []


def test_what_was_sealed_leaves_the_file(penstock: Penstock, home: Path) -> None:
    """Neither the file nor its write-ahead log keeps the sealed bytes of what was overwritten or deleted."""

    def everything() -> bytes:
        return b"".join(file.read_bytes() for file in sorted(home.glob("journal.db*")))

    def sealed() -> bytes:
        (row,) = penstock.journal.connections()
        return row.sealed[:200]

    large = WAREHOUSE.replace(password="x" * 9_000)  # also on pages of its own
    large.save("warehouse")
    first = sealed()
    assert first in everything()
    WAREHOUSE.replace().save("warehouse", overwrite=True)
    second = sealed()
    assert second in everything()
    assert first not in everything()
    assert first[20:60] not in everything()
    shelf().delete("warehouse")
    assert second[20:60] not in everything()


def test_no_row_can_be_swapped(penstock: Penstock, home: Path) -> None:
    WAREHOUSE.replace().save("a")
    WAREHOUSE.replace(password="other").save("b")
    before = penstock.journal.connections()

    def tampered(sql: str) -> None:
        with closing(sqlite3.connect(home / "journal.db")) as connection, connection:
            connection.execute(sql)

    for sql in (
        "UPDATE connections SET sealed = (SELECT sealed FROM connections WHERE name = 'a') WHERE name = 'b'",
        "UPDATE connections SET type = 'http' WHERE name = 'b'",
        "UPDATE connections SET sealed = substr(sealed, 1, 20) WHERE name = 'b'",
        "UPDATE connections SET sealed = x'' WHERE name = 'b'",
        "UPDATE connections SET sealed = CAST(x'02' || substr(sealed, 2) AS BLOB) WHERE name = 'b'",
    ):
        tampered(sql)
        with pytest.raises(ConnectionLocked, match="not sealed under this name and type, or is damaged"):
            Connection.load("b")
        tampered("DELETE FROM connections WHERE name = 'b'")
        row = before[1]
        with closing(sqlite3.connect(home / "journal.db")) as connection, connection:
            values = (row.name, row.type, row.key, row.sealed, row.seq, row.saved_at)
            connection.execute("INSERT INTO connections VALUES (?, ?, ?, ?, ?, ?)", values)
    assert Connection.load("b") == WAREHOUSE.replace(password="other")


def test_the_key_file(penstock: Penstock, home: Path) -> None:
    WAREHOUSE.replace().save("a")
    file = home / "connections.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (line,) = key_lines(home)
    assert line.split()[1] == penstock.journal.identity()
    assert len(base64.urlsafe_b64decode(line.split()[0])) == 32
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match=r"(?s)Others can read the key file.*chmod 600"):
        Connection.load("a")
    file.chmod(0o600)
    file.write_text("not a key\n")
    with pytest.raises(ConfigurationError, match=r"Key 1 of .*connections.key is no key") as caught:
        Connection.load("a")
    assert "not a key" not in str(caught.value).replace("is no key", "")


def test_a_lost_key_is_told_and_nothing_is_lost(penstock: Penstock, home: Path) -> None:
    WAREHOUSE.replace().save("a")
    file = home / "connections.key"
    kept, key = file.read_text(), penstock.journal.connections()[0].key
    file.unlink()
    for attempt in (lambda: Connection.load("a"), lambda: WAREHOUSE.replace().save("b"), shelf().rotate):
        with pytest.raises(ConnectionLocked, match=f"sealed with the key {key}, and there is none here"):
            attempt()
    assert not file.exists(), "a second key would only hide the loss"
    assert [each.name for each in shelf().listed()] == ["a"], "listing needs no key"
    file.write_text(kept)
    file.chmod(0o600)
    assert Connection.load("a") == WAREHOUSE
    file.unlink()
    WAREHOUSE.replace(password="new").save("a", overwrite=True)
    assert Connection.load("a") == WAREHOUSE.replace(password="new"), "what replaces it needs no former key"


def test_a_wrong_key_of_the_environment(penstock: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = sealing.new_key(), sealing.new_key()
    monkeypatch.setenv("PENSTOCK_KEY", right.text.reveal())
    WAREHOUSE.replace().save("a")
    monkeypatch.setenv("PENSTOCK_KEY", wrong.text.reveal())
    message = rf"sealed with the key {right.id}, and here \(in PENSTOCK_KEY\) is {wrong.id}"
    with pytest.raises(ConnectionLocked, match=message):
        Connection.load("a")
    with pytest.raises(ConnectionLocked, match=message):
        WAREHOUSE.replace().save("b")
    monkeypatch.setenv("PENSTOCK_KEY", "abc")
    with pytest.raises(ConfigurationError, match="Key 1 of PENSTOCK_KEY is no key"):
        Connection.load("a")
    standard = base64.b64encode(base64.urlsafe_b64decode(right.text.reveal())).decode()
    monkeypatch.setenv("PENSTOCK_KEY", f" {standard} ")
    assert Connection.load("a") == WAREHOUSE


def test_rotation_with_a_file(penstock: Penstock, home: Path) -> None:
    for name in "ab":
        WAREHOUSE.replace(host=name).save(name)
    before = penstock.journal.connections()
    (former,) = key_lines(home)
    done = shelf().rotate()
    after = penstock.journal.connections()
    assert (done.sealed, done.dropped) == (2, 1)
    assert {row.key for row in after} == {done.key} != {row.key for row in before}
    (line,) = key_lines(home)
    assert line != former
    assert [Connection.load(name).host for name in "ab"] == ["a", "b"]
    assert [event.stored for event in events(penstock, "a")] == ["ConnectionSaved", "ConnectionResealed"]
    assert all(stored.data is None for name in "ab" for stored in penstock.journal.load(f"connection/{name}"))


def test_rotation_with_the_environment(penstock: Penstock, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WAREHOUSE.replace().save("a")  # with a key of the file
    old, new = sealing.new_key(), sealing.new_key()
    monkeypatch.setenv("PENSTOCK_KEY", old.text.reveal())
    assert Connection.load("a") == WAREHOUSE, "keys of the file still open"
    assert (shelf().rotate().key, key_lines(home)) == (old.id, [])
    monkeypatch.setenv("PENSTOCK_KEY", f"{new.text.reveal()},{old.text.reveal()}")
    assert Connection.load("a") == WAREHOUSE
    assert shelf().rotate().sealed == 1
    assert shelf().rotate().sealed == 0, "done already"
    monkeypatch.setenv("PENSTOCK_KEY", new.text.reveal())
    assert Connection.load("a") == WAREHOUSE


class _Stops(Exception):
    pass


@pytest.mark.parametrize("at", range(5))
def test_a_rotation_that_is_interrupted(penstock: Penstock, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the new key is written, after each connection, before the former key goes: all is there."""
    for name in "abc":
        WAREHOUSE.replace(host=name).save(name)
    calls = [0]

    def striking(work: Callable[..., Any]) -> Callable[..., Any]:
        def struck(*given: Any) -> Any:
            calls[0] += 1
            if calls[0] > at:
                raise _Stops
            return work(*given)

        return struck

    keys, journal = Keys, type(penstock.journal)
    with monkeypatch.context() as patch:
        patch.setattr(keys, "make", striking(keys.make))
        patch.setattr(journal, "keep_connection", striking(journal.keep_connection))
        patch.setattr(keys, "drop", striking(keys.drop))
        with pytest.raises(_Stops):
            shelf().rotate()
    assert calls[0] == at + 1
    assert [Connection.load(name).host for name in "abc"] == ["a", "b", "c"]
    WAREHOUSE.replace(host="d").save("d")
    done = shelf().rotate()
    assert {row.key for row in penstock.journal.connections()} == {done.key}
    assert [Connection.load(name).host for name in "abcd"] == ["a", "b", "c", "d"]


def test_two_journals_with_one_home_keep_their_keys(home: Path) -> None:
    first = Penstock(Settings(home=str(home)))
    second = Penstock(Settings(home=str(home), database_url=f"sqlite:///{home}/other.db"))
    with first.activate():
        WAREHOUSE.replace().save("a")
    with second.activate():
        WAREHOUSE.replace().save("a")
        assert len(key_lines(home)) == 2
        assert shelf().rotate().dropped == 1
        assert Connection.load("a") == WAREHOUSE
    with first.activate():
        assert Connection.load("a") == WAREHOUSE, "the other journal's rotation left its key alone"
    first.close()
    second.close()


def test_many_who_save_the_first_one(home: Path) -> None:
    """All seal with the key that only one of them makes."""
    journals = [SqliteJournal(home / "journal.db") for _ in range(6)]
    gate = threading.Barrier(len(journals))

    def work(number: int, journal: SqliteJournal) -> None:
        made = shelf_of(home, journal)
        gate.wait()
        made.save(WAREHOUSE.replace(host=f"h{number}"), f"c{number}")

    threads = [threading.Thread(target=work, args=each) for each in enumerate(journals)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = shelf_of(home, journals[0])
    assert [made.load(f"c{n}", PostgresConnection).host for n in range(6)] == [f"h{n}" for n in range(6)]
    assert len(key_lines(home)) == 1
    for journal in journals:
        journal.close()


def shelf_of(home: Path, journal: SqliteJournal) -> Shelf:
    return shelf_at(home, home, lambda: journal)


def test_somebody_else_saves_meanwhile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conflict is looked at again: without `overwrite` it is refused, with it the later one stays."""
    journal = MemoryJournal()
    made = shelf_of(home, journal)
    real = MemoryJournal.keep_connection
    others = iter([WAREHOUSE.replace(password="faster")])

    def keep(self: MemoryJournal, told: Append, kept: SealedConnection) -> None:
        for other in others:
            made.save(other, "a", overwrite=True)
        real(self, told, kept)

    monkeypatch.setattr(MemoryJournal, "keep_connection", keep)
    monkeypatch.setattr(Keys, "turn", lambda self: closing(_Nothing()))
    with pytest.raises(BadConnection, match="already"):
        made.save(WAREHOUSE, "a")
    others = iter([WAREHOUSE.replace(password="faster again")])
    made.save(WAREHOUSE, "a", overwrite=True)
    assert made.load("a", Connection) == WAREHOUSE
    assert journal.last_seq("connection/a") == 3
    journal.close()


class _Nothing:
    def close(self) -> None:
        pass


def test_a_type_that_is_not_here_any_more(penstock: Penstock) -> None:
    class Gone(Connection):
        kind = "gone"
        token: Secret

    Gone(token="t").save("x")
    Gone.kind = "renamed"
    with pytest.raises(BadConnection, match="no connection type 'gone'"):
        Connection.load("x")
    assert [(each.name, each.type) for each in shelf().listed()] == [("x", "gone")]
    shelf().delete("x")


def test_fields_of_another_version(penstock: Penstock) -> None:
    row_key = shelf().keys.make()
    event = ConnectionSaved(at=1, name="a", type="postgres", key=row_key.id)
    sealed = sealing.seal(row_key, "a", "postgres", {"host": "h", "new_field": "tell-nobody"})
    kept = SealedConnection(name="a", type="postgres", key=row_key.id, sealed=sealed, seq=1, saved_at=1)
    penstock.journal.keep_connection(Append("connection/a", 0, [Record(event)]), kept)
    with pytest.raises(
        BadFields, match=r"(?s)the saved connection 'a' \(postgres\):.*new_field: is not a field"
    ) as told:
        Connection.load("a")
    assert "tell-nobody" not in str(told.value)


def test_pickling(penstock: Penstock) -> None:
    loose = WAREHOUSE.replace()
    with pytest.raises(TypeError, match="not saved is not pickled"):
        pickle.dumps(loose)
    with pytest.raises(TypeError, match="a secret is not pickled"):
        pickle.dumps(Secret("x"))
    data = pickle.dumps(loose.save("warehouse"))
    assert b"sesame" not in data
    WAREHOUSE.replace(host="moved").save("warehouse", overwrite=True)
    assert pickle.loads(data) == WAREHOUSE.replace(host="moved"), "a pickled connection is a name"


def test_without_the_package_that_encrypts(penstock: Penstock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(MissingExtra, match=r'pip install "penstock\[data\]"'):
        WAREHOUSE.replace().save("a")
    assert penstock.journal.connections() == []


def test_a_home_that_cannot_be_written(penstock: Penstock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PENSTOCK_KEY_FILE", str(tmp_path / "file" / "key"))
    with pytest.raises(ConfigurationError, match=r"(?s)cannot be (written|read).*PENSTOCK_KEY"):
        WAREHOUSE.replace().save("a")
    monkeypatch.setenv("PENSTOCK_KEY_FILE", str(tmp_path / "elsewhere" / "key"))
    WAREHOUSE.replace().save("a")
    assert stat.S_IMODE(os.stat(tmp_path / "elsewhere" / "key").st_mode) == 0o600
