"""Flows that share results and undo what they did, in processes of their own; their effects are lines of a file."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tests.chaos.workers import opened, wait_at

from penstock import flow, task
from penstock.cache_policies import CacheKeyFnPolicy
from penstock.transactions import get_transaction, transaction

alone = CacheKeyFnPolicy(cache_key_fn=lambda context, inputs: "expensive", isolation_level="SERIALIZABLE")


def note(where: str, line: str) -> None:
    """Append a line to the file, whole."""
    handle = os.open(where, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


def lines(where: str) -> list[str]:
    """What was done."""
    return Path(where).read_text().splitlines() if Path(where).exists() else []


# ---------------------------------------------------------------------------------------------------- sharing
@task(cache_policy=alone)
def expensive(where: str, linger: bool) -> int:
    note(where, "computes")
    while linger:
        time.sleep(0.05)
    return len(lines(where))


@flow
def shares(where: str, linger: bool) -> int:
    return expensive(where, linger)


def share(store: dict[str, Any], where: str, linger: bool = False, gate: str | None = None) -> int:
    """Compute what others need too, or use what they have computed."""
    with opened(store):
        if gate is not None:
            wait_at(gate)
        note(f"{where}.begun", "begun")
        return shares(where, linger)


# ---------------------------------------------------------------------------------------------------- transactions
def kept(txn: Any) -> None:
    note(txn.get("where"), f"keep {txn.get('what')}")


def undone(txn: Any) -> None:
    note(txn.get("where"), f"undo {txn.get('what')}")


@task(on_commit=[kept], on_rollback=[undone])
def does(where: str, what: str) -> str:
    txn: Any = get_transaction()
    txn.set("where", where)
    txn.set("what", what)
    note(where, what)
    return what


@flow
def below(where: str) -> str:
    return does(where, "below")


@flow(flow_run_name="{name}")
def stays(where: str, name: str) -> str:
    with transaction():
        does(where, "a")
        below(where)
        with transaction():
            does.submit(where, "b").wait()
    return does(where, "c")


@flow(flow_run_name="{name}")
def goes(where: str, name: str) -> str:
    try:
        with transaction():
            does(where, "a")
            below(where)
            with transaction():
                does(where, "b")
            raise ValueError("no")
    except ValueError:
        return does(where, "c")


SHAPES = {"stays": stays, "goes": goes}
EFFECTS = {
    "stays": ["a", "below", "b", "keep a", "keep below", "keep b", "c", "keep c"],
    "goes": ["a", "below", "b", "undo b", "undo below", "undo a", "c", "keep c"],
}


def run(store: dict[str, Any], shape: str, where: str, name: str, fault: list[Any] | None = None) -> str:
    """Run a flow."""
    with opened(store, fault):
        return SHAPES[shape](where, name)


def resume(store: dict[str, Any], run_id: str) -> Any:
    """Resume a run, its flow found by what is recorded."""
    with opened(store) as app:
        return app.resume(run_id)
