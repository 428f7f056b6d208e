"""Values, states and keys of transactions; failures that nobody raised; the asynchronous kind."""

import asyncio
from uuid import uuid4

from facts import fact, outcome, raised
from prefect import flow, task
from prefect.transactions import CommitMode, IsolationLevel, atransaction, get_transaction, transaction

NEW = uuid4().hex
log: list[object] = []


def note(*what: object) -> None:
    """Write something down."""
    log.append(list(what))


def told(name: str, run, *args) -> None:
    """Run it and say what came of it."""
    log.clear()
    fact(name, outcome=outcome(flow(name="told")(run), *args), log=list(log))


@task
def a(where: str = "here") -> str:
    """Sets a value."""
    get_transaction().set("where", where)
    return where


@task
def b() -> str:
    """Does not."""
    note("b sees", get_transaction().get("where", "nothing"))
    return "b"


@task
def dry() -> None:
    """Fails."""
    raise OSError("dry")


@task(retries=1)
def shaky() -> str:
    """Fails when it is tried first."""
    note("shaky")
    if [entry[0] for entry in log].count("shaky") == 1:
        raise OSError("not yet")
    return "well"


def hooks_of(some, name: str) -> None:
    """Hooks that write down that they were called."""

    @some.on_commit
    def kept(txn) -> None:
        note(f"kept {name}")

    @some.on_rollback
    def undone(txn) -> None:
        note(f"undone {name}", txn.get("where", "nowhere"))


for hooked, name in ((a, "a"), (b, "b"), (dry, "dry"), (shaky, "shaky")):
    hooks_of(hooked, name)


def values():
    """A child sees the values of its parents, and not the other way round."""
    with transaction() as txn:
        txn.set("where", "outside")
        txn.set("rows", [1])
        b()
        a("inside")
        rows = txn.get("rows")
        rows.append(2)
        note(txn.get("where"), txn.get("rows"), txn.get("nothing", None))
        note(raised(txn.get, "nothing"))
        with transaction() as inner:
            note(inner.get("where"), inner.get_parent() is txn, get_transaction() is inner)
            inner.set("where", "inner")
        note(txn.get("where"), inner.get("where"))
        raise ValueError("undo")


def states_of_a_transaction():
    """What it says of itself."""

    def of(txn) -> list[bool]:
        return [txn.is_pending(), txn.is_active(), txn.is_staged(), txn.is_committed(), txn.is_rolled_back()]

    with transaction() as txn:
        note(txn.state.name, of(txn), txn.key, txn.commit_mode.name, txn.isolation_level and txn.isolation_level.name)
    note(txn.state.name, of(txn))
    try:
        with transaction() as txn:
            raise ValueError("no")
    except ValueError:
        note(txn.state.name, of(txn))
    with transaction(commit_mode=CommitMode.OFF) as txn:
        pass
    note(txn.state.name, of(txn))


def a_failure_that_is_not_raised():
    """A step failed, and the block goes on."""
    with transaction() as txn:
        a("1")
        note(dry(return_state=True).name)
        note("goes on")
        b()
    note(txn.state.name)


def a_failure_that_is_caught():
    """A step raised, and the block goes on."""
    with transaction() as txn:
        a("1")
        try:
            dry()
        except OSError:
            note("caught")
        b()
    note(txn.state.name)


def a_failure_that_is_retried():
    """It went well in the end."""
    with transaction() as txn:
        a("1")
        shaky()
        b()
    note(txn.state.name)


def an_inner_failure_that_is_caught():
    """The inner block is rolled back, and with it the outer one."""
    with transaction() as txn:
        a("1")
        try:
            with transaction() as inner:
                b()
                raise ValueError("inner")
        except ValueError:
            note("caught", inner.state.name)
        a("2")
    note(txn.state.name)


def submitted():
    """Steps on the task runner."""
    with transaction():
        futures = [a.submit("1"), a.submit("1")]
        [future.wait() for future in futures]
        dry.submit().wait()
    note("after")


def with_a_key():
    """What was done under a key is not done again."""
    for _ in range(2):
        with transaction(key=f"{NEW}-key") as txn:
            note(txn.is_committed(), txn.key == f"{NEW}-key")
            if not txn.is_committed():
                txn.stage({"rows": 3})
        note(txn.state.name)
    with transaction(key=f"{NEW}-key") as txn:
        note(txn.read().result)
    with transaction(key=f"{NEW}-key", overwrite=True) as txn:
        note(txn.is_committed())
        txn.stage({"rows": 4})
    with transaction(key=f"{NEW}-key") as txn:
        note(txn.read().result)


def a_key_without_a_value():
    """Nothing was staged."""
    with transaction(key=f"{NEW}-empty"):
        pass
    with transaction(key=f"{NEW}-empty") as txn:
        note(txn.is_committed(), txn.read().result)
    with transaction(key=f"{NEW}-never", write_on_commit=False):
        pass
    with transaction(key=f"{NEW}-never") as txn:
        note(txn.is_committed())


def a_key_that_failed():
    """It is not there."""
    try:
        with transaction(key=f"{NEW}-failed") as txn:
            txn.stage(1)
            raise ValueError("no")
    except ValueError:
        pass
    with transaction(key=f"{NEW}-failed") as txn:
        note(txn.is_committed())


def staged_hooks():
    """Hooks that are given with a value."""
    for fails in (False, True):
        with transaction() as txn:
            a("x")
            txn.stage(
                1,
                on_commit_hooks=[lambda txn: note("kept block")],
                on_rollback_hooks=[lambda txn: note("undone block")],
            )
            note(txn.state.name)
            if fails:
                raise ValueError("no")


def rolled_back_by_hand():
    """Before the block ends."""
    with transaction() as txn:
        a("1")
        note(txn.rollback(), txn.state.name, txn.rollback())
        b()
    note(txn.state.name)


def committed_by_hand():
    """Before the block ends."""
    with transaction() as txn:
        a("1")
        note(txn.commit(), txn.state.name, txn.commit())
        b()
    note(txn.state.name)


async def asynchronous():
    """The asynchronous kind, with asynchronous hooks."""

    async def undone(txn) -> None:
        await asyncio.sleep(0)
        note("undone slow")

    async def kept(txn) -> None:
        await asyncio.sleep(0)
        note("kept slow")

    @task
    async def slow() -> str:
        await asyncio.sleep(0)
        return "slow"

    slow.on_rollback(undone)
    slow.on_commit(kept)

    async with atransaction() as txn:
        note(await slow(), get_transaction() is txn)
        a()
        note("end")
    note(txn.state.name)
    async with atransaction(key=f"{NEW}-async") as txn:
        await slow()
        raise ValueError("no")


if __name__ == "__main__":
    for story in (
        values,
        states_of_a_transaction,
        a_failure_that_is_not_raised,
        a_failure_that_is_caught,
        a_failure_that_is_retried,
        an_inner_failure_that_is_caught,
        submitted,
        with_a_key,
        a_key_without_a_value,
        a_key_that_failed,
        staged_hooks,
        rolled_back_by_hand,
        committed_by_hand,
    ):
        told(story.__name__.replace("_", " "), story)
    log.clear()
    fact("asynchronous", outcome=outcome(lambda: asyncio.run(flow(asynchronous)())), log=list(log))
    fact("levels", IsolationLevel.READ_COMMITTED.value, serial=IsolationLevel("SERIALIZABLE").name)
