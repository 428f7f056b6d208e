"""Futures: results, waiting, passing them on, callbacks."""

from threading import Event

from facts import fact, outcome, raised
from prefect import flow, task
from prefect.futures import PrefectFuture, as_completed, wait

release = Event()


@task
def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


@task
def fragile() -> None:
    """Always fails."""
    raise RuntimeError("broke")


@task
def held(number: int) -> int:
    """Give the number back once it is released."""
    release.wait(30)
    return number


@task
def total(numbers: list[int], extra: int = 0) -> int:
    """Sum."""
    return sum(numbers) + extra


@task
def shape(thing: object) -> object:
    """Give back what arrived."""
    return thing


@flow
def results():
    """Results, with and without raising."""
    future = double.submit(4)
    fact("a future is a PrefectFuture", isinstance(future, PrefectFuture))
    fact("result", future.result())
    fact("wait returns nothing", future.wait())
    fact("state after", future.state)
    failed = fragile.submit()
    fact("failed result", outcome(failed.result))
    fact("failed result without raising", failed.result(raise_on_failure=False))
    fact("failed state", failed.state)


@flow
def passed_on():
    """Futures as arguments arrive as values, however deep."""
    one, two = double.submit(1), double.submit(2)
    fact("direct call with a future", double(one))
    fact("submit with a future", double.submit(two).result())
    fact("futures in a list", total([one, two], extra=double.submit(5)))
    fact("futures in containers", shape({"list": [one, (two,)], "set": {one}, "plain": 7}))
    fact("what map gives, as an argument", total(double.map([1, 2, 3])))
    fact("a state as an argument", double(double(3, return_state=True)))


@flow
def waiting():
    """wait() and as_completed()."""
    futures = [double.submit(number) for number in range(4)]
    finished = wait(futures)
    fact("wait", done=len(finished.done), not_done=len(finished.not_done))
    fact("as_completed", sorted(future.result() for future in as_completed(futures)))
    done, not_done = wait([])
    fact("wait for nothing", done=len(done), not_done=len(not_done))


@flow
def impatient():
    """Time limits of those who wait; the task itself goes on."""
    future = held.submit(8)
    quick = double.submit(1)
    quick.wait()
    done, not_done = wait([future, quick], timeout=0.05)
    fact("wait with a limit", done=[item.result() for item in done], not_done=len(not_done))
    fact("future.wait with a limit", future.wait(timeout=0.01))
    try:
        future.result(timeout=0.01)
    except TimeoutError:
        fact("result with a limit", "TimeoutError")
    try:
        list(as_completed([future], timeout=0.01))
    except TimeoutError:
        fact("as_completed with a limit", "TimeoutError")
    fact("a limit below zero", wait=raised(wait, [quick], timeout=-1))
    release.set()
    fact("in the end", future.result())


@flow
def callbacks():
    """Functions called when a future is done."""
    seen = []
    future = double.submit(21)
    future.wait()
    future.add_done_callback(lambda done: seen.append(done.result()))
    return seen


if __name__ == "__main__":
    for made in (results, passed_on, waiting, impatient):
        made()
    fact("callback", callbacks())
    for name, call in (("submit", lambda: double.submit(1)), ("map", lambda: double.map([1]))):
        try:
            call()
        except RuntimeError:
            fact(f"{name} outside a flow", "RuntimeError")
