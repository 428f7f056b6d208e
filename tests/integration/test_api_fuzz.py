"""Requests made from the description of the API: nothing that anybody sends makes the server fail."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from tests.integration.api_world import BASE, PEOPLE, World, opened

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks as openapi_checks

EXCLUDED = [openapi_checks.positive_data_acceptance]
"""A schema cannot tell that a workflow of this name has to be there."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(tmp_path_factory.mktemp("world"), auth="required") as found:
        yield found


def described(world: World) -> Any:
    """What can be asked, but for streams, which have no end."""
    schema = schemathesis.openapi.from_dict(world.schema())
    schema.app = world.app
    schema.config.update(base_url=BASE)
    schema.config.generation.update(with_security_parameters=False)  # who asks, signs in
    refusing = schema.config.checks.negative_data_rejection
    refusing.expected_statuses = [*refusing.expected_statuses, "413"]  # what is wrong may be too large, too
    return schema.exclude(path_regex="/stream$")


def operations(world: World) -> list[Any]:
    """Each thing that can be asked."""
    return [result.ok() for result in described(world).get_all_operations()]


def judge(case: Any, response: Any) -> None:
    """See that an answer is as described. A webhook whose secret is not there has its senders come again (503)."""
    to_a_hook = case.operation.path == "/hooks/{slug}"
    away = to_a_hook and response.status_code == 503 and response.json()["code"] == "secrets"
    case.validate_response(response, excluded_checks=[*EXCLUDED, *([not_a_server_error] if away else [])])


def fuzz(world: World, operation: Any, examples: int, *, derandomize: bool) -> None:
    """Ask one thing in many ways, as everybody, and half of the time about things that are there."""
    asked = operation.definition.raw
    wrong = "requestBody" in asked or any(each["in"] == "query" for each in asked.get("parameters", ()))
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE) if wrong else (GenerationMode.POSITIVE,):

        @settings(
            max_examples=examples, deadline=None, database=None, derandomize=derandomize,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode), who=st.sampled_from([*PEOPLE]), there=st.booleans())
        def ask(case: Any, who: str, there: bool) -> None:
            if there and case.path_parameters:
                known = world.path_values()
                case.path_parameters = {name: known.get(name, value) for name, value in case.path_parameters.items()}
            world.become(who)
            judge(case, case.call(headers=world.signed))

        world.seed()
        with suppress(*([Unsatisfiable] if mode is GenerationMode.NEGATIVE else [])):  # some cannot be asked wrongly
            ask()


def test_whatever_is_asked_is_answered_as_described(world: World, subtests: pytest.Subtests) -> None:
    for operation in operations(world):
        with subtests.test(operation.label):
            fuzz(world, operation, 2, derandomize=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thousands_of_requests_are_answered_as_described(world: World, subtests: pytest.Subtests) -> None:
    for operation in operations(world):
        with subtests.test(operation.label):
            fuzz(world, operation, 80, derandomize=False)


def test_a_webhook_whose_secret_is_not_there_is_answered_as_described(world: World) -> None:
    world.become("admin")
    hook = {"slug": "silent", "signature": {"scheme": "github"}, "secrets": [{"connection": "nowhere"}]}
    assert world.client.post("/api/v1/webhooks", json={**hook, "mapping": {"event": "any"}}).status_code == 201
    case = described(world)["/hooks/{slug}"]["POST"].Case(path_parameters={"slug": "silent"})
    answer = case.call()
    assert answer.status_code == 503
    judge(case, answer)


def follow(world: World, folder: Path, who: str, examples: int, steps: int, *, derandomize: bool) -> None:
    """Ask for what earlier answers tell of, as somebody: made, got, changed, removed, got again.

    Each sequence has a server of its own: what can be asked for next hangs on what is there.
    """
    machine = described(world).as_state_machine()

    class Sequences(machine):  # type: ignore[misc, valid-type]
        def setup(self) -> None:
            self.ending = ExitStack()
            own = self.ending.enter_context(TemporaryDirectory(dir=folder))
            self.world = self.ending.enter_context(opened(Path(own), auth="required"))

        def teardown(self) -> None:
            self.ending.close()

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            self.world.become(who)
            return {"headers": self.world.signed, "app": self.world.app}

        def validate_response(self, response: Any, case: Any, additional_checks: Any = None, **_: Any) -> None:
            judge(case, response)

    Sequences.run(
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None, derandomize=derandomize,
            suppress_health_check=list(HealthCheck),
        )
    )  # fmt: skip


def test_what_answers_tell_of_can_be_asked_for(world: World, tmp_path: Path) -> None:
    for who in ("admin", "scoped"):
        follow(world, tmp_path, who, 3, 6, derandomize=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("who", PEOPLE)
def test_long_sequences_of_requests(world: World, tmp_path: Path, who: str) -> None:
    follow(world, tmp_path, who, 30, 20, derandomize=False)
