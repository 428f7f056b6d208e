"""transaction(): what is committed and rolled back, in which order, and which hooks are called with what."""

from uuid import uuid4

from facts import fact, outcome
from prefect import flow, task
from prefect.transactions import (
    CommitMode,
    IsolationLevel,
    TransactionState,
    get_transaction,
    transaction,
)

NEW = uuid4().hex
log: list[object] = []


def note(*what: object) -> None:
    """Write something down."""
    log.append(list(what))


def hooked(some, on_commit, on_rollback):
    """Give a task its hooks."""
    for hook in on_commit:
        some.on_commit(hook)
    for hook in on_rollback:
        some.on_rollback(hook)
    return some


def plain(name: str):
    """A task without hooks."""
    return task(name=name)(lambda: note("body", name))


def step(name: str, *, fails: bool = False, retries: int = 0, fails_first: bool = False, **options):
    """A task with hooks that write down that they were called."""

    def undone(txn) -> None:
        note("undone", name, txn.get("made", None))

    def kept(txn) -> None:
        note("kept", name, txn.get("made", None))

    tries: list[int] = []

    def body() -> str:
        tries.append(1)
        get_transaction().set("made", f"by {name}")
        note("body", name)
        if fails or (fails_first and len(tries) == 1):
            raise OSError(f"{name} is dry")
        return name

    return hooked(task(name=name, retries=retries, **options)(body), [kept], [undone])


def told(name: str, run, *args) -> None:
    """Run it and say what came of it."""
    log.clear()
    fact(name, outcome=outcome(flow(name="told")(run), *args), log=list(log))


def both_well():
    """Two steps, committed in order."""
    with transaction():
        step("a")()
        step("b")()
        note("end of the block")
    note("after")


def second_fails():
    """What was done is undone."""
    with transaction():
        step("a")()
        step("b")()
        step("c", fails=True)()


def block_raises():
    """The block itself raises."""
    with transaction():
        step("a")()
        raise ValueError("in the block")


def caught_outside():
    """The flow goes on."""
    try:
        with transaction():
            step("a")()
            raise ValueError("in the block")
    except ValueError:
        note("caught")
    step("b")()


def nested():
    """A block in a block is committed with it."""
    with transaction():
        step("a")()
        with transaction():
            step("b")()
            note("end of the inner")
        step("c")()
        note("end of the outer")


def inner_fails():
    """And rolled back with it."""
    with transaction():
        step("a")()
        with transaction():
            step("b")()
            step("c", fails=True)()


def outer_fails():
    """Also when the inner one went well."""
    with transaction():
        step("a")()
        with transaction():
            step("b")()
        step("c", fails=True)()


def inner_eager():
    """An eager one is committed at its end, for good."""
    with transaction():
        step("a")()
        with transaction(commit_mode=CommitMode.EAGER):
            step("b")()
            note("end of the inner")
        note("after the inner")
        step("c", fails=True)()


def eager():
    """Every step is committed at once."""
    with transaction(commit_mode=CommitMode.EAGER):
        step("a")()
        note("after a")
        step("b", fails=True)()


def off():
    """Nothing is committed."""
    with transaction(commit_mode=CommitMode.OFF):
        step("a")()
        step("b")()


def inside_tasks():
    """A step inside a step belongs to it."""

    @task
    def outer():
        step("inner")()
        note("end of outer")

    hooked(outer, [lambda txn: note("kept outer")], [lambda txn: note("undone outer")])
    with transaction():
        outer()
        step("b", fails=True)()


def inside_tasks_well():
    """And is committed before it."""

    @task
    def outer():
        step("inner")()
        note("end of outer")

    hooked(outer, [lambda txn: note("kept outer")], [lambda txn: note("undone outer")])
    outer()
    note("after outer")


def without_a_block():
    """A task is a transaction of its own."""
    step("a")()
    note("after a")
    step("b", fails=True, retries=1)()


def commit_hook_fails():
    """What cannot be committed is rolled back; the others are not."""

    def broken(txn) -> None:
        note("broken")
        raise KeyError("no commit")

    with transaction():
        step("a")()
        hooked(plain("b"), [broken], [lambda txn: note("undone b")])()
        step("c")()
    note("after")


def rollback_hook_fails():
    """The others are called all the same."""

    def broken(txn) -> None:
        note("broken")
        raise KeyError("no rollback")

    with transaction():
        step("a")()
        hooked(plain("b"), [], [lambda txn: note("never"), broken])()
        step("c")()
        raise ValueError("in the block")


def several_hooks():
    """Commit hooks in order, rollback hooks in reverse."""
    some = hooked(
        plain("a"),
        [lambda txn: note("kept 1"), lambda txn: note("kept 2")],
        [lambda txn: note("undone 1"), lambda txn: note("undone 2")],
    )
    with transaction():
        some()
    with transaction():
        some()
        raise ValueError("now the other way")


def in_a_subflow():
    """Steps of a subflow belong to the block around it."""

    @flow
    def below():
        step("b")()

    with transaction():
        step("a")()
        below()
        step("c", fails=True)()


def decorated():
    """Hooks by decorator."""
    some = step("a")

    @some.on_commit
    def kept_too(txn) -> None:
        note("kept too", type(txn).__name__)

    @some.on_rollback
    def undone_too(txn) -> None:
        note("undone too")

    with transaction():
        some()
    with transaction():
        some()
        raise ValueError("now the other way")


def cached():
    """What comes from the cache is not rolled back."""
    some = step("a", cache_key_fn=lambda context, parameters: f"{NEW}-cached")
    with transaction():
        some()
        note("not cached yet", some(return_state=True).name)
    note(some(return_state=True).name)
    with transaction():
        note(some(return_state=True).name)
        step("b", fails=True)()


def not_cached_when_rolled_back():
    """A result is there for others when it is committed."""
    some = step("a", cache_key_fn=lambda context, parameters: f"{NEW}-rolled back")
    try:
        with transaction():
            some()
            raise ValueError("no")
    except ValueError:
        note("caught")
    note(some(return_state=True).name)


if __name__ == "__main__":
    for story in (
        both_well,
        second_fails,
        block_raises,
        caught_outside,
        nested,
        inner_fails,
        outer_fails,
        inner_eager,
        eager,
        off,
        inside_tasks,
        inside_tasks_well,
        without_a_block,
        commit_hook_fails,
        rollback_hook_fails,
        several_hooks,
        in_a_subflow,
        decorated,
        cached,
        not_cached_when_rolled_back,
    ):
        told(story.__name__.replace("_", " "), story)
    fact("names", [mode.name for mode in CommitMode], levels=[level.name for level in IsolationLevel])
    fact("states", [state.name for state in TransactionState])
    fact("none around", get_transaction())
