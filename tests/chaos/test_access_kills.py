"""kill -9 while accounts, keys and things change: what is there is what the audit says, and nothing is half done."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.control.auth import reading
from penstock.core.audit import STREAM, Audited
from penstock.journal import SqliteJournal

pytestmark = pytest.mark.chaos
WORKER = Path(__file__).with_name("access_worker.py")


def started(home: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(WORKER), str(home), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_again_and_again(tmp_path: Path) -> None:
    chance = random.Random(7)
    home = tmp_path / "home"
    SqliteJournal(home / "journal.db").close()
    for turn in range(4):
        both = [started(home, f"{name}{turn}") for name in "ab"]
        for process in both:
            assert process.stdout is not None
            for _ in range(chance.randint(1, 8)):
                line = process.stdout.readline()
                assert line, process.stderr.read() if process.stderr else ""
        for process in both:
            process.kill()
        for process in both:
            process.communicate()
    journal = SqliteJournal(home / "journal.db")
    assert reading.verify(journal).sound
    expected: dict[str, set[str]] = {"account": set(), "key": set(), "limit": set()}
    owners: dict[str, str | None] = {}
    shared = sessions = 0
    for stored in journal.load(STREAM):
        entry = stored.event
        assert isinstance(entry, Audited)
        kind, _, name = entry.target.partition("/")
        if entry.action in ("AccountCreated", "KeyCreated"):
            expected[kind].add(name)
            owners[name] = json.loads(entry.after or "{}").get("account")
        elif entry.action == "LimitDeclared":
            expected["limit"].add(name)
            shared += name == "shared"
        elif entry.action == "KeyRevoked":
            expected["key"].discard(name)
        elif entry.action == "AccountDeleted":
            expected["account"].discard(name)
            expected["key"] -= {key for key, owner in owners.items() if owner == name}
        sessions += entry.action == "SignedIn"
    assert {each.owner for each in journal.credentials(kind="account")} == expected["account"]
    assert _keys(journal) == expected["key"]
    assert {each.name for each in journal.limits()} == expected["limit"]
    assert journal.last_seq("limit/shared") == shared
    assert sessions >= len(journal.credentials(kind="session")) > 0
    assert len(expected["account"]) > 10
    journal.close()


def _keys(journal: SqliteJournal) -> set[str]:
    return {each.name.partition("/")[2] for each in journal.credentials(kind="key")}
