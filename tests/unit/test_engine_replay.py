"""A resumed flow must follow its record, and is told exactly where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engines import die_in, engine_on, newest, no_starts

from penstock import flow, runtime, task
from penstock.app import Penstock
from penstock.core.errors import ReplayDiverged
from penstock.task_runners import ThreadPoolTaskRunner


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Penstock]:
    no_starts(monkeypatch)
    with engine_on(tmp_path).activate() as made:
        yield made


@task
def fetch(url: str, page: int = 1) -> str:
    return f"{url}/{page}"


@task
def clean(text: str) -> str:
    return text.strip()


@task
def load(text: str) -> int:
    return len(text)


@flow(name="nightly")
def recorded(url: str = "a") -> int:
    return load(clean(fetch(url)))


def diverged(app: Penstock, changed: Any, *, before_append: int = 4, original: Any = recorded) -> str:
    """What a flow is told that was changed between its death and its resuming."""
    run = die_in(app, original, before_append=before_append)
    with pytest.raises(ReplayDiverged) as caught:
        app.resume(run.id, changed)
    return caught.value.message


def test_a_renamed_step_is_named_with_its_old_and_new_name(app: Penstock) -> None:
    @flow(name="nightly")
    def changed(url: str = "a") -> int:
        return load(clean(fetch.with_options(name="download")(url)))

    message = diverged(app, changed)
    assert message == "Call 1 of the flow was fetch#1 when it was recorded, and is download#1 now."


def test_swapped_steps_are_named(app: Penstock) -> None:
    @flow(name="nightly")
    def changed(url: str = "a") -> int:
        clean("before")
        return load(fetch(url))

    message = diverged(app, changed)
    assert message == "Call 1 of the flow was fetch#1 when it was recorded, and is clean#1 now."


def test_a_changed_argument_is_named(app: Penstock) -> None:
    @flow(name="nightly")
    def changed(url: str = "a") -> int:
        return load(clean(fetch(url, page=2)))

    message = diverged(app, changed)
    assert "fetch#1" in message
    assert "'page'" in message
    assert "'url'" not in message


def test_a_changed_value_is_named_but_not_shown(app: Penstock) -> None:
    @flow(name="nightly")
    def changed(url: str = "a") -> int:
        return load(clean(fetch("secret")))

    message = diverged(app, changed)
    assert message == "fetch#1 is called with another value for 'url' than when it was recorded."


def test_an_inserted_step_is_named(app: Penstock) -> None:
    @flow(name="nightly")
    def changed(url: str = "a") -> int:
        text = fetch(url)
        load(text)
        return load(clean(text))

    message = diverged(app, changed)
    assert message == "Call 2 of the flow was clean#1 when it was recorded, and is load#1 now."


def test_a_removed_last_step_is_named(app: Penstock) -> None:
    @flow(name="nightly")
    def changed(url: str = "a") -> str:
        return fetch(url)

    message = diverged(app, changed)
    assert message == "clean#1 completed when it was recorded, and the flow does not call it any more."


def test_a_removed_first_step_is_named(app: Penstock) -> None:
    @flow(name="nightly")
    def changed(url: str = "a") -> int:
        return load(clean(f"{url}/1"))

    message = diverged(app, changed)
    assert message == "Call 1 of the flow was fetch#1 when it was recorded, and is clean#1 now."


def test_a_change_inside_a_step_is_told_with_the_step_around_it(app: Penstock) -> None:
    def body(inner: Any) -> Any:
        @task
        def both(text: str) -> int:
            return load(inner(text))

        @flow(name="nightly")
        def made() -> int:
            return both("x")

        return made

    message = diverged(app, body(fetch), original=body(clean), before_append=3)
    assert message == "Call 1 of step both#1 was both#1/clean#1 when it was recorded, and is both#1/fetch#1 now."


def test_submitted_steps_are_held_to_the_record_too(app: Penstock) -> None:
    def lengths_of(texts: list[str]) -> Any:
        @flow(name="nightly", task_runner=ThreadPoolTaskRunner(max_workers=1))
        def made() -> list[int]:
            return load.map(texts).result()

        return made

    message = diverged(app, lengths_of(["a", "xx", "ccc"]), original=lengths_of(["a", "bb", "ccc"]))
    assert message == "load#2 is called with another value for 'text' than when it was recorded."


def test_steps_behind_the_record_may_be_new(app: Penstock) -> None:
    @flow(name="nightly")
    def changed(url: str = "a") -> str:
        return f"{clean(fetch(url))} and {fetch('more')}"

    run = die_in(app, recorded, before_append=4)
    assert app.resume(run.id, changed) == "a/1 and more/1"


def test_a_step_that_never_ended_may_get_other_arguments(app: Penstock) -> None:
    """It left nothing behind that a new call could contradict."""

    @flow(name="nightly")
    def changed(url: str = "a") -> int:
        return load(clean(fetch("longer")))

    run = die_in(app, recorded, before_append=2)
    assert app.resume(run.id, changed) == len("longer/1")


def test_a_diverged_run_can_be_resumed_when_the_code_is_right_again(app: Penstock) -> None:
    @flow(name="nightly")
    def changed(url: str = "a") -> int:
        return load(clean(fetch("other")))

    calls: list[str] = []

    @flow(name="nightly")
    def right(url: str = "a") -> int:
        calls.append(url)
        return load(clean(fetch(url)))

    run = die_in(app, recorded, before_append=4)
    with pytest.raises(ReplayDiverged):
        app.resume(run.id, changed)
    assert app.resume(run.id, right) == len("a/1")
    assert calls == ["a"]


def test_a_flow_cannot_swallow_its_divergence(app: Penstock) -> None:
    """A flow that catches everything must not go on with a record that is not its own."""

    @flow(name="nightly")
    def changed(url: str = "a") -> int:
        try:
            text = fetch("other")
        except Exception:
            text = "made up"
        return load(clean(text))

    run = die_in(app, recorded, before_append=4)
    with pytest.raises(ReplayDiverged, match="fetch#1"):
        app.resume(run.id, changed)
    released = newest(app)
    assert (released.id, released.state, released.state_name) == (run.id, "Pending", "Interrupted")
    app.resume(run.id, recorded)
    assert newest(app).state == "Completed"


def test_a_retried_flow_may_take_another_way(app: Penstock) -> None:
    @flow(retries=1)
    def detour() -> str:
        text = fetch("a")
        if runtime.flow_run.run_count == 1:
            clean("first attempt only")
            raise ValueError("again")
        return f"{text} {fetch('b')}"

    assert detour() == "a/1 b/1"


def test_a_retried_flow_that_took_another_way_can_be_resumed(app: Penstock) -> None:
    """The record of the first attempt binds the first attempt only."""

    @flow(retries=1)
    def detour() -> str:
        text = fetch("a")
        if runtime.flow_run.run_count == 1:
            clean("first attempt only")
            raise ValueError("again")
        return f"{text} {fetch('b')} {load('last')}"

    # Created and started, fetch#1, clean#1, retrying, started, fetch#2: the process dies before load#1 is recorded.
    run = die_in(app, detour, before_append=7)
    assert app.resume(run.id, detour) == "a/1 b/1 4"


def test_a_retried_flow_may_call_a_failed_step_with_other_arguments_and_be_resumed(app: Penstock) -> None:
    @task
    def strict(value: int) -> int:
        if value == 1:
            raise ValueError("not with 1")
        return value

    @flow(retries=1)
    def adapting() -> int:
        return strict(runtime.flow_run.run_count) + load("x")

    # Created and started, strict#1 failed, retrying, started: dies before strict#1~2 is recorded.
    run = die_in(app, adapting, before_append=5)
    assert app.resume(run.id, adapting) == 3


def test_a_retried_flow_never_gets_the_result_of_other_arguments(app: Penstock) -> None:
    """The first `fetch` of the second attempt is not the first `fetch` of the first."""

    @flow(retries=1)
    def shifting() -> list[str]:
        pages = [1, 2, 3] if runtime.flow_run.run_count == 1 else [2, 3]
        found = [fetch("a", page) for page in pages]
        if runtime.flow_run.run_count == 1:
            raise ValueError("again")
        return found

    assert shifting() == ["a/2", "a/3"]
