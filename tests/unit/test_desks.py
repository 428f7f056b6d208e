"""What commands work with at hand, and what they are given of a server, is the same: method by method."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

from penstock.cli import servers
from penstock.cli.desk import Desk, LocalDesk
from penstock.cli.desk_remote import RemoteDesk
from penstock.core.errors import ConfigurationError

PAIRS = [
    ("plan_desk", ("Deployments", "Automations", "Events")),
    ("access_desk", ("Users", "Keys", "Audit")),
    ("alert_desk", ("Alerts",)),
    ("hook_desk", ("Hooks",)),
    ("connection_desk", ("Connections",)),
    ("dataset_desk", ("Datasets",)),
]


def methods_of(kind: type) -> dict[str, Any]:
    """The public methods, with what each takes."""
    found = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(each) for name, each in found if not name.startswith("_")}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in PAIRS for name in names])
def test_a_server_has_what_is_at_hand(module: str, name: str) -> None:
    here = getattr(importlib.import_module(f"penstock.cli.{module}"), f"Local{name}")
    there = getattr(importlib.import_module(f"penstock.cli.{module}_remote"), f"Remote{name}")
    assert methods_of(there) == methods_of(here)


def test_both_desks_have_all_that_a_desk_has() -> None:
    wanted = {name for name in vars(Desk) if not name.startswith("_")}
    for kind in (LocalDesk, RemoteDesk):
        assert wanted - {"journal"} <= {*dir(kind)}, kind


@pytest.mark.parametrize("group", sorted(servers.REMOTE))
def test_every_remote_command_is_a_command(group: str) -> None:
    commands = importlib.import_module(f"penstock.cli.{group}").command.commands
    assert {*servers.REMOTE[group]} <= {*commands}


def test_what_is_not_for_servers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(servers.VARIABLE, "http://127.0.0.1:1")
    for group, commands in servers.REMOTE.items():
        for name in commands:
            assert servers.meant_for_server([group, name]) == [group, name]
    with pytest.raises(ConfigurationError, match="works with the journal at hand"):
        servers.meant_for_server(["worker", "start"])


def test_the_table_of_what_works_with_a_server_is_that_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
    told = page.partition("<!-- table: remote -->")[2].partition("<!-- end: remote -->")[0].strip().splitlines()[2:]
    rows = [f"| `{group}` | {', '.join(f'`{name}`' for name in names)} |" for group, names in servers.REMOTE.items()]
    assert told == rows
