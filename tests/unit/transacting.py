"""Flows with transactions, and what they do to the world: the list `world`."""

from __future__ import annotations

import asyncio
from typing import Any

from penstock import flow, runtime, task
from penstock.cache_policies import CacheKeyFnPolicy
from penstock.transactions import CommitMode, atransaction, get_transaction, transaction

world: list[str] = []


class Dry(Exception):
    """What steps fail with."""


def kept(txn: Any) -> None:
    world.append(f"keep {txn.get('what')}")


def undone(txn: Any) -> None:
    world.append(f"undo {txn.get('what')}")


def refuses(txn: Any) -> None:
    world.append(f"refuse {txn.get('what')}")
    raise Dry("no commit")


async def kept_slowly(txn: Any) -> None:
    await asyncio.sleep(0)
    world.append(f"keep {txn.get('what')} slowly")


def _does(what: str) -> str:
    get_transaction().set("what", what)  # type: ignore[union-attr]
    world.append(what)
    return what


@task(on_commit=[kept], on_rollback=[undone])
def does(what: str) -> str:
    return _does(what)


@task(on_commit=[refuses], on_rollback=[undone])
def does_not_commit(what: str) -> str:
    return _does(what)


@task(on_commit=[kept], on_rollback=[undone])
def fails(what: str) -> str:
    _does(what)
    raise Dry(what)


@task(on_commit=[kept], on_rollback=[undone])
def around(what: str) -> str:
    does(f"{what} within")
    return _does(what)


keyed = CacheKeyFnPolicy(cache_key_fn=lambda context, inputs: inputs["what"], isolation_level="SERIALIZABLE")


@task(on_commit=[kept], on_rollback=[undone], cache_policy=keyed)
def cached(what: str) -> str:
    return _does(what)


@task(on_commit=[kept_slowly], on_rollback=[undone])
async def does_slowly(what: str) -> str:
    await asyncio.sleep(0)
    return _does(what)


@flow
def subflow(what: str) -> str:
    does(f"{what} below")
    return what


@flow
def commits() -> str:
    with transaction():
        does("a")
        does("b")
    return does("c")


@flow
def rolls_back() -> str:
    try:
        with transaction():
            does("a")
            does("b")
            raise Dry("no")
    except Dry:
        world.append("caught")
    return does("c")


@flow
def a_step_fails() -> str:
    with transaction():
        does("a")
        fails("b")
    return "never"


@flow
def nests() -> str:
    with transaction():
        does("a")
        with transaction():
            does("b")
            around("c")
        subflow("d")
        does("e")
    return "nested"


@flow
def nests_and_fails() -> str:
    try:
        with transaction():
            does("a")
            with transaction():
                around("b")
            subflow("c")
            raise Dry("no")
    except Dry:
        return "undone"


@flow
def an_inner_block_fails() -> str:
    with transaction():
        does("a")
        try:
            with transaction():
                does("b")
                raise Dry("inner")
        except Dry:
            world.append("caught")
        does("c")
    return "all undone"


@flow
def eager_within() -> str:
    try:
        with transaction():
            does("a")
            with transaction(commit_mode=CommitMode.EAGER):
                does("b")
            raise Dry("no")
    except Dry:
        return "b stays"


@flow
def a_rehearsal() -> str:
    with transaction(commit_mode=CommitMode.OFF):
        does("a")
        does("b")
    return "nothing stays"


@flow
def a_hook_refuses() -> str:
    with transaction():
        does("a")
        does_not_commit("b")
        does("c")
    return "a and c"


@flow
def keyed_block() -> list[Any]:
    found = []
    for _ in range(2):
        with transaction(key="rows", isolation_level="SERIALIZABLE") as txn:
            if txn.is_committed():
                found.append(txn.read().result)  # type: ignore[union-attr]
            else:
                txn.stage(does("made"))
    return found


@flow
def cached_within() -> list[str]:
    with transaction():
        cached("a")
        cached("a")
    return [cached("a", return_state=True).name]


@flow
def cached_and_undone() -> str:
    try:
        with transaction():
            cached("a")
            raise Dry("no")
    except Dry:
        name: str = cached("a", return_state=True).name
        return name


@flow
def submitted() -> list[str]:
    with transaction():
        futures = [does.submit(f"s{number}") for number in range(3)]
    return [future.result() for future in futures]


@flow(retries=1)
def tried_again() -> str:
    with transaction():
        does("a")
        if runtime.flow_run.run_count == 1:
            raise Dry("the first time")
    return "well"


@flow(retries=1)
def fails_afterwards() -> str:
    with transaction():
        does("a")
    if runtime.flow_run.run_count == 1:
        raise Dry("afterwards")
    return "well"


@flow
async def asynchronous() -> str:
    async with atransaction():
        await does_slowly("a")
        does("b")
    return "slow"


@task
def around_and_fails(what: str) -> str:
    does(f"{what} within")
    raise Dry(what)


@flow
def subflow_fails(what: str) -> str:
    does(f"{what} below")
    subflow(f"{what} far")
    raise Dry(what)


@flow
def subflow_with_blocks(what: str) -> str:
    with transaction(key=f"{what} key", isolation_level="SERIALIZABLE") as txn:
        does(f"{what} keyed")
        txn.set("what", f"{what} block")
        txn.stage(what, on_commit_hooks=[kept], on_rollback_hooks=[undone])
    with transaction(commit_mode=CommitMode.EAGER):
        does(f"{what} eager")
    return what


@task
def task_with_a_block(what: str) -> str:
    with transaction() as txn:
        does(f"{what} within")
        txn.set("what", f"{what} block")
        txn.stage(None, on_commit_hooks=[kept], on_rollback_hooks=[undone])
    return what


@flow
def failures_are_caught() -> str:
    with transaction():
        for some in (around_and_fails, subflow_fails):
            try:
                some(some.name[:2])
            except Dry:
                world.append("caught")
        does("z")
    return "all undone"


@flow
def blocks_below() -> list[Any]:
    with transaction():
        subflow_with_blocks("a")
        task_with_a_block("b")
        does("c")
    with transaction(key="a key") as txn:
        return [txn.is_committed(), txn.read().result]  # type: ignore[union-attr]


@flow
def blocks_below_and_undone() -> bool:
    try:
        with transaction():
            does("z")
            subflow_with_blocks("a")
            task_with_a_block("b")
            raise Dry("no")
    except Dry:
        pass
    with transaction(key="a key", write_on_commit=False) as txn:
        return txn.is_committed()


@flow
def no_block() -> str:
    does("a")
    return around("b")


FLOWS = {
    made.name.replace("-", "_"): made
    for made in (
        commits, rolls_back, a_step_fails, nests, nests_and_fails, an_inner_block_fails, eager_within, a_rehearsal,
        a_hook_refuses, keyed_block, cached_within, cached_and_undone, submitted, tried_again, fails_afterwards,
        asynchronous, no_block, failures_are_caught, blocks_below, blocks_below_and_undone,
    )
}  # fmt: skip
CALM = {
    "commits": "a, b, keep a, keep b, c, keep c",
    "rolls_back": "a, b, undo b, undo a, caught, c, keep c",
    "a_step_fails": "a, b, undo a",
    "nests": "a, b, c within, c, d below, e, keep a, keep b, keep c within, keep c, keep d below, keep e",
    "nests_and_fails": "a, b within, b, c below, undo c below, undo b, undo b within, undo a",
    "an_inner_block_fails": "a, b, undo b, caught, c, undo c, undo a",
    "eager_within": "a, b, keep b, undo a",
    "a_rehearsal": "a, b, undo b, undo a",
    "a_hook_refuses": "a, b, c, keep a, refuse b, undo b, keep c",
    "keyed_block": "made, keep made",
    "cached_within": "a, a, keep a, keep a",
    "cached_and_undone": "a, undo a, a, keep a",
    "submitted": "s0, s1, s2, keep s0, keep s1, keep s2",
    "tried_again": "a, undo a, a, keep a",
    "fails_afterwards": "a, keep a",
    "asynchronous": "a, b, keep a slowly, keep b",
    "failures_are_caught": (
        "ar within, caught, su below, su far below, caught, z, undo z, undo su far below, undo su below, undo ar within"
    ),
    "blocks_below": (
        "a keyed, a eager, keep a eager, b within, c, keep a keyed, keep a block, keep b within, keep b block, keep c"
    ),
    "blocks_below_and_undone": (
        "z, a keyed, a eager, keep a eager, b within, undo b block, undo b within, undo a block, undo a keyed, undo z"
    ),
    "no_block": "a, keep a, b within, keep b within, b, keep b",
}
"""What happens in which order, when nothing goes wrong."""
