"""cache_policy: what the key of a task's result is made of, and when a result is used again."""

import threading
from uuid import uuid4

from facts import fact, raised
from prefect import flow, task
from prefect.cache_policies import (
    DEFAULT,
    FLOW_PARAMETERS,
    INPUTS,
    NO_CACHE,
    NONE,
    RUN_ID,
    TASK_SOURCE,
    CacheKeyFnPolicy,
    CachePolicy,
)

NEW = uuid4().hex
"""Makes the keys of this process unlike those of any other."""

made: list[object] = []


def measure(well: str, day: str, depth: int = 7) -> str:
    """A task's function that can be counted."""
    made.append(well)
    return f"{well} {depth}"


def with_policy(policy, **options):
    """A task with that policy."""
    return task(name="measure", cache_policy=policy, **options)(measure)


@flow
def called_with(subject, *calls):
    """Call a task with each of these arguments; names of the states, and how often it was executed."""
    before = len(made)
    states = [subject(*args, **kwargs, return_state=True) for args, kwargs in calls]
    return [[state.name for state in states], len(made) - before]


def call(*args, **kwargs):
    """Arguments of a call."""
    return args, kwargs


def over_two_runs(name: str, policy, *calls, **options) -> None:
    """The same calls in two runs."""
    subject = with_policy(policy, **options)
    fact(name, first=called_with(subject, *calls), second=called_with(subject, *calls))


def key_of_well(context, parameters) -> str:
    """A key from the arguments, and from what the context knows."""
    return f"{NEW}-{context.task.name}-{parameters['well']}-{parameters['depth']}"


class OfTheDay(CachePolicy):
    """A policy of one's own."""

    def compute_key(self, task_ctx, inputs, flow_parameters, **kwargs):
        """Only the day counts."""
        return f"{NEW}-of-{inputs['day']}"


def many_policies() -> None:
    """One after the other."""
    over_two_runs("no policy", NO_CACHE, call(NEW, "none"), call(NEW, "none"))
    over_two_runs("NONE", NONE, call(NEW, "none"))
    over_two_runs("INPUTS", INPUTS, call(NEW, "inputs"), call(NEW, "inputs"))
    over_two_runs("INPUTS of other inputs", INPUTS, call(NEW, "one"), call(NEW, "two"))
    over_two_runs("INPUTS with defaults", INPUTS, call(NEW, "d"), call(NEW, "d", 7), call(day="d", well=NEW, depth=7))
    over_two_runs("INPUTS without one", INPUTS - "day", call(f"{NEW}a", "x"), call(f"{NEW}a", "y"))
    over_two_runs("INPUTS without two", INPUTS - "day" - "depth", call(f"{NEW}b", "x"), call(f"{NEW}b", "y", 8))
    over_two_runs("a sum without one", (INPUTS + TASK_SOURCE) - "day", call(f"{NEW}c", "x"), call(f"{NEW}c", "y"))
    over_two_runs("RUN_ID", RUN_ID, call(NEW, "run"), call(NEW, "another"))
    over_two_runs("DEFAULT", DEFAULT, call(NEW, "default"), call(NEW, "default"), call(NEW, "other"))
    over_two_runs("INPUTS and RUN_ID", INPUTS + RUN_ID, call(NEW, "ir"), call(NEW, "ir"))
    over_two_runs("nothing and INPUTS", NO_CACHE + INPUTS, call(NEW, "no and in"))
    over_two_runs("INPUTS and nothing", INPUTS + NO_CACHE, call(NEW, "in and no"))
    over_two_runs("a function", CacheKeyFnPolicy(cache_key_fn=key_of_well), call(NEW, "fn"), call(NEW, "other fn"))
    over_two_runs("from a function", CachePolicy.from_cache_key_fn(key_of_well), call(NEW, "fn", 2))
    over_two_runs("one's own", OfTheDay(), call(NEW, "own"), call("anything", "own"))
    over_two_runs("not kept", INPUTS, call(NEW, "not kept"), persist_result=False)
    over_two_runs("None", None, call(NEW, "policy None"))


of_parameters = with_policy(FLOW_PARAMETERS)


@flow
def with_parameters(length: int, mark: str):
    """The key is made of these."""
    before = len(made)
    states = [of_parameters("anything", str(number), return_state=True) for number in range(2)]
    return [[state.name for state in states], len(made) - before]


@flow
def without_parameters():
    """No parameters, no key."""
    before = len(made)
    return [[of_parameters("x", "y", return_state=True).name for _ in range(2)], len(made) - before]


@task(cache_policy=INPUTS)
def locked(lock, name: str) -> str:
    """A lock has no content."""
    made.append(name)
    return name


@task(cache_policy=INPUTS - "lock")
def unlocked(lock, name: str) -> str:
    """Without it, there is a key."""
    made.append(name)
    return name


@flow
def with_a_lock():
    """What cannot be hashed is no reason to fail."""
    names = [locked(threading.Lock(), f"{NEW} a", return_state=True).name for _ in range(2)]
    fact("a lock", names, ran=made.count(f"{NEW} a"))
    names = [unlocked(threading.Lock(), f"{NEW} b", return_state=True).name for _ in range(2)]
    fact("without the lock", names, ran=made.count(f"{NEW} b"))


def algebra() -> None:
    """Sums, differences, and what cannot be."""
    fact("minus a number", raised(lambda: INPUTS - 1))
    fact("NO_CACHE minus a number", raised(lambda: NO_CACHE - 1))
    fact("minus changes nothing elsewhere", RUN_ID - "x" == RUN_ID, TASK_SOURCE_too=TASK_SOURCE - "x" == TASK_SOURCE)
    fact("equal", INPUTS == INPUTS, minus=(INPUTS - "a") == (INPUTS - "a"), other=(INPUTS - "a") == INPUTS)
    fact("the same nothing", NO_CACHE == NONE)
    serial = INPUTS.configure(isolation_level="SERIALIZABLE")
    fact("configured", serial.isolation_level, left_alone=INPUTS.isolation_level)
    loose = TASK_SOURCE.configure(isolation_level="READ_COMMITTED")
    fact("two levels", raised(lambda: serial + loose))
    fact("one level", (serial + TASK_SOURCE).isolation_level, other_way=(TASK_SOURCE + serial).isolation_level)
    fact("no inputs, no key", INPUTS.compute_key(task_ctx=None, inputs={}, flow_parameters={}))
    fact("a key is text", type(INPUTS.compute_key(task_ctx=None, inputs={"a": 1}, flow_parameters={})).__name__)
    one, two = (INPUTS.compute_key(None, inputs, {}) for inputs in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    fact("order does not matter", one == two)
    fact("but types do", INPUTS.compute_key(None, {"a": 1}, {}) != INPUTS.compute_key(None, {"a": "1"}, {}))
    excluded = (INPUTS - "b").compute_key(None, {"a": 1, "b": 2}, {})
    fact("excluded", excluded == INPUTS.compute_key(None, {"a": 1}, {}))
    fact("the default's parts", [type(part).__name__ for part in DEFAULT.policies])


if __name__ == "__main__":
    many_policies()
    fact("FLOW_PARAMETERS", [with_parameters(length, NEW) for length in (1, 1, 2)])
    fact("FLOW_PARAMETERS of a flow without any", without_parameters())
    with_a_lock()
    algebra()
