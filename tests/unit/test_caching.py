"""Results that other runs use: keys, hits, expiry, refreshing, what cannot be hashed, and who computes at a time."""

from __future__ import annotations

import asyncio
import enum
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import die_in, engine_on, events, newest, steps

from penstock import flow, task
from penstock.app import Penstock
from penstock.authoring.caching import policy_of
from penstock.cache_policies import (
    DEFAULT,
    FLOW_PARAMETERS,
    INPUTS,
    NO_CACHE,
    RUN_ID,
    TASK_SOURCE,
    CacheKeyFnPolicy,
    CachePolicy,
)
from penstock.core.clock import clock_of
from penstock.core.errors import BadOption, NotThereYet, ParameterBindError
from penstock.core.events import TaskCompleted
from penstock.core.model import CacheFilter
from penstock.engine.recovery import resume
from penstock.testing import FakeClock

BIG = "x" * 50_000
"""More than is kept inline, so that it goes to a file."""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    made = engine_on(tmp_path / "home")
    with made.activate():
        yield made
    made.close()


def counting(value: Any = "made", **options: Any) -> tuple[Any, list[Any]]:
    """A task `measure(well)`, and the list of what it was executed for."""
    made: list[Any] = []

    def measure(well: Any = 1) -> Any:
        made.append(well)
        return value

    return task(**options)(measure), made


def in_runs(times: int, some: Any, *args: Any) -> list[str]:
    """Names of the states of the same call, in so many runs."""

    @flow
    def calls() -> str:
        name: str = some(*args, return_state=True).name
        return name

    return [calls() for _ in range(times)]


def called(some: Any, *args: Any) -> Any:
    """What it gives in a run of its own."""
    return flow(lambda: some(*args))()


# ---------------------------------------------------------------------------------------------------- keys
def test_a_result_is_used_by_other_runs(app: Penstock) -> None:
    some, made = counting(cache_policy=INPUTS)
    assert in_runs(3, some, 5) == ["Completed", "Cached", "Cached"]
    assert in_runs(1, some, 6) == ["Completed"]
    assert made == [5, 6]
    (entry, _) = app.journal.cache_entries(CacheFilter())
    assert entry.task == "measure"
    assert entry.expires_at is None


@pytest.mark.parametrize(
    ("policy", "first", "second", "same"),
    [
        (INPUTS, 1, 1.0, False),
        (INPUTS, 1, True, False),
        (INPUTS, [1, 2], (1, 2), False),
        (INPUTS, {"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        (INPUTS, {1, 2, 3}, {3, 2, 1}, True),
        (INPUTS, float("nan"), float("nan"), True),
        (INPUTS, "\ud800", "\ud800", True),
        (INPUTS, b"a", "a", False),
        (INPUTS, None, "None", False),
        (INPUTS - "well", 1, 2, True),
        (TASK_SOURCE, 1, 2, True),
        (INPUTS + TASK_SOURCE, 1, 1, True),
        (RUN_ID, 1, 1, False),
        (DEFAULT, 1, 1, False),
        (NO_CACHE, 1, 1, False),
        (FLOW_PARAMETERS, 1, 1, False),
    ],
)
def test_what_counts(app: Penstock, policy: CachePolicy, first: Any, second: Any, same: bool) -> None:
    some, _ = counting(cache_policy=policy)
    in_runs(1, some, first)
    assert in_runs(1, some, second) == ["Cached" if same else "Completed"]


def test_two_tasks_share_a_key_only_where_a_function_gives_it(app: Penstock) -> None:
    one, _ = counting("one", name="one", cache_policy=INPUTS)
    two, _ = counting("two", name="two", cache_policy=INPUTS)
    assert [called(some, 1) for some in (one, two)] == ["one", "two"]
    one, _ = counting("one", name="one", cache_key_fn=lambda context, inputs: "shared")
    two, _ = counting("two", name="two", cache_key_fn=lambda context, inputs: "shared")
    assert [called(some, 1) for some in (one, two)] == ["one", "one"]


def test_a_task_that_changed_its_source_is_executed_again(app: Penstock, tmp_path: Path) -> None:
    def declared(text: str) -> Any:
        path = tmp_path / "recipes.py"
        path.write_text(f"def cook(dish):\n    return {text}\n")
        space: dict[str, Any] = {"__name__": "recipes"}
        exec(compile(path.read_text(), str(path), "exec"), space)
        import linecache

        linecache.checkcache(str(path))
        return task(cache_policy=INPUTS + TASK_SOURCE)(space["cook"])

    assert in_runs(2, declared("'boiled ' + dish"), "rice") == ["Completed", "Cached"]
    changed = declared("'fried  ' + dish")
    assert in_runs(2, changed, "rice") == ["Completed", "Cached"]
    assert called(changed, "rice") == "fried  rice"
    assert in_runs(1, declared("'boiled ' + dish"), "rice") == ["Cached"], "the old one is still there"


def test_persist_result_alone_means_the_default_policy(app: Penstock) -> None:
    some, made = counting(persist_result=True)

    @flow
    def thrice() -> list[str]:
        return [some(1, return_state=True).name for _ in range(3)]

    assert thrice() == thrice() == ["Completed", "Cached", "Cached"]
    assert made == [1, 1]
    assert policy_of("x", None, None, None) is policy_of("x", NO_CACHE, None, True) is None


# ---------------------------------------------------------------------------------------------------- hostile keys
class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    "key",
    [
        "k" * 1_000_000,
        "nul \0 and \x1b[31m",
        "\ud800",
        "line\nline",
        " ",
        "',\"; DROP TABLE cache; --",
        Colour.RED,
        "ключ 键 \U0001f511",
    ],
    ids=["huge", "control", "surrogate", "lines", "blank", "quotes", "enum", "unicode"],
)
def test_a_strange_key_is_a_key(app: Penstock, key: str) -> None:
    some, made = counting(cache_key_fn=lambda context, inputs: key)
    assert in_runs(3, some) == ["Completed", "Cached", "Cached"]
    assert len(made) == 1
    (entry,) = app.journal.cache_entries(CacheFilter())
    assert len(entry.key) < 300
    assert entry.key.isprintable()
    assert in_runs(1, counting(cache_key_fn=lambda context, inputs: f"{key}!")[0]) == ["Completed"]


@pytest.mark.parametrize("key", [5, b"bytes", ["a"], object(), True], ids=lambda key: type(key).__name__)
def test_a_key_that_is_no_text_is_told_and_not_used(
    app: Penstock, key: object, caplog: pytest.LogCaptureFixture
) -> None:
    some, made = counting(cache_key_fn=lambda context, inputs: key)
    assert in_runs(2, some) == ["Completed", "Completed"]
    assert len(made) == 2
    assert "executed without a cache key" in caplog.text
    assert "must be text" in caplog.text


@pytest.mark.parametrize("key", [None, ""])
def test_no_key_is_nothing_to_speak_of(app: Penstock, key: Any, caplog: pytest.LogCaptureFixture) -> None:
    some, _ = counting(cache_key_fn=lambda context, inputs: key)
    assert in_runs(2, some) == ["Completed", "Completed"]
    assert not caplog.text
    assert not app.journal.cache_entries(CacheFilter())


def raises(error: BaseException) -> Any:
    def key(context: Any, inputs: Any) -> str:
        raise error

    return key


def recurs(context: Any, inputs: Any) -> str:
    return recurs(context, inputs)


@pytest.mark.parametrize(
    "broken", [raises(KeyError("no")), raises(RecursionError()), recurs, lambda: "takes nothing"], ids=range(4)
)
def test_a_broken_key_function_is_no_broken_task(app: Penstock, broken: Any, caplog: pytest.LogCaptureFixture) -> None:
    some, made = counting(cache_key_fn=broken)
    assert in_runs(2, some) == ["Completed", "Completed"]
    assert len(made) == 2
    assert caplog.text.count("executed without a cache key") == 2


def test_an_error_whose_text_raises_is_told_all_the_same(app: Penstock) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

        __repr__ = __str__

    some, made = counting(cache_key_fn=raises(Mute()))
    assert in_runs(1, some) == ["Completed"]
    assert made


def test_a_key_function_that_changes_its_inputs_changes_nothing(app: Penstock) -> None:
    def greedy(context: Any, inputs: dict[str, Any]) -> str:
        inputs.clear()
        inputs["well"] = "poisoned"
        return "greedy"

    some, made = counting(cache_key_fn=greedy)
    assert in_runs(1, some, 7) == ["Completed"]
    assert made == [7]


def knotted() -> list[Any]:
    knot: list[Any] = [1]
    knot.append(knot)
    return knot


def deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(5_000):
        found = [found]
    return found


class Sly:
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError("not for you")


@pytest.mark.parametrize(
    "make",
    [threading.Lock, lambda: (n for n in "ab"), Sly, deep, lambda: [object()] * 2 + [Sly()], lambda: {Sly(): 1}],
    ids=["lock", "generator", "sly", "deep", "within", "as a key"],
)
def test_inputs_without_content(app: Penstock, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    some, made = counting(cache_policy=INPUTS)
    assert in_runs(2, some, make()) == ["Completed", "Completed"]
    assert len(made) == 2
    assert "The argument 'well' cannot be part of a cache key" in caplog.text
    assert 'INPUTS - "well"' in caplog.text
    assert in_runs(2, counting(cache_policy=INPUTS - "well")[0], make())[1] == "Cached"


def test_inputs_that_hold_themselves(app: Penstock) -> None:
    some, _ = counting(cache_policy=INPUTS)
    assert in_runs(1, some, knotted()) == ["Completed"]
    assert in_runs(1, some, knotted()) == ["Cached"]


def test_wrong_arguments_are_told_by_the_call(app: Penstock, caplog: pytest.LogCaptureFixture) -> None:
    some, _ = counting(cache_policy=INPUTS)
    with pytest.raises(ParameterBindError, match="parameters of task 'measure'"):
        called(some, 1, 2, 3)
    assert "cache key" not in caplog.text


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (lambda: task(cache_policy="INPUTS")(counting), "is no policy"),
        (lambda: task(cache_policy=INPUTS, cache_expiration=5)(counting), "must be a timedelta"),
        (lambda: task(cache_policy=INPUTS, cache_expiration=timedelta(0))(counting), "must be a timedelta above 0"),
        (lambda: task(cache_key_fn="key")(counting), "must be a function"),
        (lambda: task(cache_key_fn=asyncio.sleep)(counting), "must not be async"),
        (lambda: INPUTS.configure(isolation_level="SOLID"), "no isolation level 'SOLID'"),
        (lambda: task(cache_policy=CacheKeyFnPolicy(isolation_level="SOLID"))(counting), "no isolation level 'SOLID'"),
        (lambda: task(cache_policy=INPUTS, refresh_cache="yes")(counting), "refresh_cache"),
    ],
)
def test_what_cannot_be_declared(declare: Any, says: str) -> None:
    with pytest.raises(BadOption, match=says) as caught:
        declare()
    assert caught.value.hint


@pytest.mark.parametrize("option", ["key_storage", "lock_manager"])
def test_keys_are_kept_in_the_journal(option: str) -> None:
    with pytest.raises(NotThereYet, match="the journal keeps both"):
        INPUTS.configure(**{option: object()})  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------- time
def test_a_result_expires(app: Penstock) -> None:
    some, _ = counting(cache_policy=INPUTS, cache_expiration=timedelta(hours=1))
    clock = FakeClock()
    with clock_of(clock):
        assert in_runs(2, some) == ["Completed", "Cached"]
        clock.advance(3_598)
        assert in_runs(1, some) == ["Cached"]
        clock.advance(2)
        assert in_runs(2, some) == ["Completed", "Cached"], "the new one counts an hour from now"
        clock.advance(3_000)
        assert in_runs(1, some) == ["Cached"]


def test_a_clock_that_jumps(app: Penstock) -> None:
    some, made = counting(cache_policy=INPUTS, cache_expiration=timedelta(hours=1))
    clock = FakeClock()
    with clock_of(clock):
        in_runs(1, some)
        clock.advance(-7 * 86_400)
        assert in_runs(1, some) == ["Cached"], "set back: it is used a little longer, and nothing breaks"
        clock.advance(100 * 365 * 86_400)
        assert in_runs(2, some) == ["Completed", "Cached"], "set ahead: it is made anew"
        clock.advance(-100 * 365 * 86_400)
        assert in_runs(1, some) == ["Cached"]
    assert len(made) == 2


def test_an_expiration_beyond_all_time(app: Penstock) -> None:
    some, _ = counting(cache_policy=INPUTS, cache_expiration=timedelta.max)
    assert in_runs(2, some) == ["Completed", "Cached"]


# ---------------------------------------------------------------------------------------------------- values
def result_files(app: Penstock) -> list[Path]:
    return [path for path in Path(app.settings.home).glob("results/??/*") if path.is_file()]


@pytest.mark.parametrize("harm", ["deleted", "damaged", "cut"])
def test_a_value_whose_file_is_gone_is_made_anew(app: Penstock, harm: str) -> None:
    some, made = counting(BIG, cache_policy=INPUTS)
    assert in_runs(2, some) == ["Completed", "Cached"]
    (path,) = result_files(app)
    if harm == "deleted":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[:-1] if harm == "cut" else content[:-2] + b"!" + content[-1:])
    assert in_runs(2, some) == ["Completed", "Cached"]
    assert called(some) == BIG
    assert len(made) == 2


def test_the_file_of_a_result_outlives_its_run(app: Penstock) -> None:
    some, made = counting(BIG, cache_policy=INPUTS)
    in_runs(1, some)
    app.journal.delete([newest(app).id])
    (path,) = result_files(app)
    os.utime(path, (1, 1))
    assert app.results.sweep(app.journal.unused) == 0
    assert in_runs(1, some) == ["Cached"]
    assert len(made) == 1
    app.journal.delete([newest(app).id])
    app.journal.forget_cached(CacheFilter())
    os.utime(path, (1, 1))
    assert app.results.sweep(app.journal.unused) == 1


class Fading:
    """Can be written, and not read back."""

    def __reduce__(self) -> Any:
        return _vanish, ()


def _vanish() -> Any:
    raise ImportError("this class is no more")


def test_a_value_that_cannot_be_read_back_is_made_anew(app: Penstock, caplog: pytest.LogCaptureFixture) -> None:
    some, made = counting(Fading(), cache_policy=INPUTS)
    assert in_runs(2, some) == ["Completed", "Completed"]
    assert len(made) == 2
    assert "cannot be used" in caplog.text


def test_a_value_that_cannot_be_saved_is_not_kept(app: Penstock) -> None:
    some, made = counting(threading.Lock(), cache_policy=INPUTS)

    @flow
    def calls() -> None:
        some(1)

    calls()
    calls()
    assert len(made) == 2
    assert not app.journal.cache_entries(CacheFilter())


def test_failures_are_not_kept(app: Penstock) -> None:
    made = []

    @task(cache_policy=INPUTS)
    def fails() -> None:
        made.append(1)
        raise OSError("dry")

    assert in_runs(2, fails) == ["Failed", "Failed"]
    assert len(made) == 2


def test_nobody_sees_what_another_did_to_the_value(app: Penstock) -> None:
    some, _ = counting([1, 2], cache_policy=INPUTS)

    @flow
    def spoils() -> list[int]:
        found: list[int] = some()
        found.append(3)
        return some()  # type: ignore[no-any-return]

    assert spoils() == [1, 2]


# ---------------------------------------------------------------------------------------------------- refreshing
def test_refreshing(tmp_path: Path) -> None:
    some, made = counting(cache_policy=INPUTS)
    fresh, never = some.with_options(refresh_cache=True), some.with_options(refresh_cache=False)
    app = engine_on(tmp_path)
    with app.activate():
        in_runs(1, some)
        assert in_runs(1, fresh) == ["Completed"]
        assert in_runs(1, some) == ["Cached"]
    with engine_on(tmp_path, app.journal, refresh_cache=True).activate():
        assert in_runs(1, some) == ["Completed"]
        assert in_runs(1, never) == ["Cached"], "the task itself says so"
    assert len(made) == 3


def test_forgetting(app: Penstock) -> None:
    one, _ = counting(name="one", cache_policy=INPUTS, cache_expiration=timedelta(hours=1))
    two, _ = counting(name="two", cache_policy=INPUTS)
    in_runs(1, one, 1)
    in_runs(1, one, 2)
    in_runs(1, two, 1)
    assert app.journal.forget_cached(CacheFilter(task="one", made_before=1)) == 0
    assert app.journal.forget_cached(CacheFilter(task="one")) == 2
    assert in_runs(1, two, 1) == ["Cached"]
    assert in_runs(1, one, 1) == ["Completed"]


# ---------------------------------------------------------------------------------------------------- on record
def test_a_hit_is_on_record_for_good(app: Penstock) -> None:
    """Whoever goes on with the run sees what it saw, whatever has become of the cache."""
    some, made = counting(BIG, cache_policy=INPUTS)
    in_runs(1, some, 1)

    @task
    def after() -> str:
        return "done"

    @flow
    def uses() -> list[Any]:
        return [some(1, return_state=True).name, after()]

    run = die_in(app, uses, before_append=3)
    assert steps(app, run.id) == {"measure#1": "Completed"}
    (hit,) = (event for event in events(app, run.id) if isinstance(event, TaskCompleted))
    assert hit.state_name == "Cached"
    assert hit.cache_key is None, "a hit is nobody's new result"
    app.journal.forget_cached(CacheFilter())
    assert resume(app.engine, run.id, uses) == ["Cached", "done"]
    assert len(made) == 1


def test_tasks_in_processes_and_async_ones(app: Penstock) -> None:
    made = []

    @task(cache_policy=INPUTS)
    async def slow(well: int) -> int:
        made.append(well)
        await asyncio.sleep(0)
        return well * 2

    @flow
    async def both() -> list[Any]:
        first = await slow(1)
        again = await slow(1, return_state=True)
        futures = [slow.submit(well) for well in (1, 2, 1)]
        return [first, again.name, [await future.wait_async() or future.state.name for future in futures]]

    assert asyncio.run(both()) == [2, "Cached", ["Cached", "Completed", "Cached"]]
    assert made == [1, 2]


def test_a_hook_is_called_for_a_hit_too(app: Penstock) -> None:
    told = []

    @task(cache_policy=INPUTS, on_completion=[lambda task, run, state: told.append(state.name)])
    def some(number: int) -> int:
        return number

    in_runs(2, some, 1)
    assert told == ["Completed", "Cached"]


# ---------------------------------------------------------------------------------------------------- one at a time
def serial(**options: Any) -> tuple[Any, list[Any], threading.Event, threading.Event]:
    """A task that lets nobody else make its result; it has begun, and it may end."""
    made: list[Any] = []
    begun, go = threading.Event(), threading.Event()

    def compute(number: int = 1) -> str:
        made.append(number)
        begun.set()
        assert go.wait(30)
        return f"made {len(made)}"

    policy = INPUTS.configure(isolation_level="SERIALIZABLE")
    return task(cache_policy=policy, **options)(compute), made, begun, go


def test_one_computes_and_the_others_wait_for_it(app: Penstock) -> None:
    some, made, begun, go = serial()

    @flow
    def crowd() -> list[str]:
        futures = [some.submit(1) for _ in range(6)]
        assert begun.wait(30)
        go.set()
        return [future.result() for future in futures]

    assert crowd() == ["made 1"] * 6
    assert made == [1]
    assert not app.journal.tickets()


def test_who_waited_for_a_failure_computes_itself(app: Penstock) -> None:
    tried: list[int] = []

    @task(cache_policy=INPUTS.configure(isolation_level="SERIALIZABLE"))
    def shaky(number: int) -> int:
        tried.append(1)
        if len(tried) == 1:
            raise OSError("dry")
        return len(tried)

    @flow
    def crowd() -> list[str]:
        futures = [shaky.submit(1) for _ in range(3)]
        return sorted(future.state.name for future in futures if future.wait() is None)

    assert crowd() == ["Cached", "Completed", "Failed"]
    assert len(tried) == 2
    assert not app.journal.tickets()


def test_without_it_nobody_waits(app: Penstock) -> None:
    both = threading.Barrier(2)

    @task(cache_policy=INPUTS)
    def some(number: int) -> int:
        both.wait(30)
        return number

    @flow
    def two() -> list[int]:
        futures = [some.submit(1), some.submit(1)]
        return [future.result() for future in futures]

    assert two() == [1, 1]


def test_nobody_waits_for_himself(app: Penstock) -> None:
    """A task that calls itself with the same arguments, and the same key again."""
    calls: list[int] = []

    @task(cache_policy=(INPUTS - "depth").configure(isolation_level="SERIALIZABLE"))
    def again(name: str, depth: int) -> int:
        calls.append(depth)
        return depth if depth == 0 else again(name, depth - 1)

    assert called(again, "a", 2) == 0
    assert calls == [2, 1, 0]
    assert not app.journal.tickets()


def test_two_that_take_two_keys_the_other_way_round_do_not_wait_for_ever(
    app: Penstock, caplog: pytest.LogCaptureFixture
) -> None:
    both = threading.Barrier(2)
    keyed = CacheKeyFnPolicy(cache_key_fn=lambda context, inputs: inputs["key"], isolation_level="SERIALIZABLE")

    @task(cache_policy=keyed)
    def inner(key: str) -> str:
        return key

    @task(cache_policy=keyed)
    def outer(key: str, below: str) -> str:
        both.wait(30)
        return f"{key} {inner(below)}"

    @flow
    def crossed() -> list[str]:
        futures = [outer.submit("a", "b"), outer.submit("b", "a")]
        return [future.result() for future in futures]

    assert len(crossed()) == 2
    assert "does not wait" in caplog.text
    assert not app.journal.tickets()


def test_a_cancelled_run_waits_no_more(app: Penstock) -> None:
    some, made, begun, go = serial()
    second = threading.Event()

    @flow
    def holder() -> str:
        return some(1)  # type: ignore[no-any-return]

    @flow
    def waiter() -> str:
        second.set()
        return some(1)  # type: ignore[no-any-return]

    states: dict[str, Any] = {}

    def work(which: Any) -> None:
        with app.activate():
            states[which.name] = which(return_state=True)

    threads = [threading.Thread(target=work, args=(each,)) for each in (holder, waiter)]
    threads[0].start()
    assert begun.wait(30)
    threads[1].start()
    assert second.wait(30)
    run = next(run for run in _running(app) if run.flow == "waiter")
    from penstock.engine.recovery import cancel

    cancel(app.journal, run.id)
    threads[1].join(30)
    assert states["waiter"].name == "Cancelled"
    go.set()
    threads[0].join(30)
    assert states["holder"].name == "Completed"
    assert made == [1]
    assert not app.journal.tickets()


def _running(app: Penstock) -> list[Any]:
    from penstock.core.model import RunFilter

    return [run for run in app.journal.runs(RunFilter()) if not run.ended]
