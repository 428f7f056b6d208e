"""What is sent to Prefect, and what is made of what it says; no server is asked."""

from __future__ import annotations

from typing import Any

import pytest

from penstock import flow, task, transaction
from penstock.core.calendar import ScheduleSpec
from penstock.core.deployments import Schedule
from penstock.core.engines import EngineSettings
from penstock.core.errors import ConfigurationError, EngineRefused, EngineUnreachable
from penstock.deploy.needs import needs_of
from penstock.deploy.parameters import as_described
from penstock.deploy.prefect import prefect_engine
from penstock.deploy.prefect.client import PrefectClient
from penstock.deploy.prefect.looking import keys_of, micros, state_of
from penstock.deploy.prefect.names import called
from penstock.deploy.prefect.schedules import mistakes_of, schedules_as_json


def scheduled(**options: Any) -> Schedule:
    return Schedule(name="one", spec=ScheduleSpec.of(**options))


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (
            {"cron": "0 2 * * *", "timezone": "Asia/Tokyo"},
            {"cron": "0 2 * * *", "day_or": True, "timezone": "Asia/Tokyo"},
        ),
        (
            {"interval": 900, "anchor": "2026-01-01T00:05:00"},
            {"interval": 900.0, "anchor_date": "2026-01-01T00:05:00+00:00", "timezone": "UTC"},
        ),
        (
            {
                "rrule": "FREQ=DAILY",
                "start": "2026-03-01T09:00:00",
                "end": "2026-04-01T09:00:00",
                "timezone": "Europe/Paris",
            },
            {
                "rrule": "DTSTART:20260301T090000\nRRULE:FREQ=DAILY;UNTIL=20260401T090000",
                "timezone": "Europe/Paris",
            },
        ),
        (
            {"at": "2031-01-02T03:04:05"},
            {"rrule": "DTSTART:20310102T030405\nRRULE:FREQ=DAILY;COUNT=1", "timezone": "UTC"},
        ),
    ],
)
def test_schedules_as_prefect_has_them(options: dict[str, Any], sent: dict[str, Any]) -> None:
    plan = scheduled(**options)
    assert not mistakes_of([plan])
    assert schedules_as_json([plan]) == [{"schedule": sent, "active": True, "parameters": {}, "slug": "one"}]


@pytest.mark.parametrize(
    "options",
    [
        {"cron": "0 0 2 * * *"},
        {"cron": "@daily", "end": "2031-01-01"},
        {"interval": "1h", "end": "2031-01-01"},
        {"cron": "@daily", "jitter": 60},
        {"cron": "@daily", "missed": "all"},
    ],
)
def test_schedules_that_prefect_does_not_have(options: dict[str, Any]) -> None:
    assert len(mistakes_of([scheduled(**options)])) == 1


SCHEMA = {
    "properties": {
        "count": {"type": "integer"},
        "maybe": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "text": {"type": "string"},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "shop": {"$ref": "#/$defs/Shop"},
        "anything": {},
        "loop": {"$ref": "#/$defs/Loop"},
    },
    "$defs": {"Shop": {"type": "object"}, "Loop": {"$ref": "#/$defs/Loop"}},
}


def test_texts_become_what_the_schema_wants() -> None:
    given = {
        "count": "3",
        "maybe": "null",
        "text": "3",
        "either": "3",
        "shop": '{"a": 1}',
        "anything": "3",
        "loop": "3",
    }
    assert as_described(given, SCHEMA) == {**given, "count": 3, "maybe": None, "shop": {"a": 1}}
    assert as_described({"count": "many", "unknown": "1", "maybe": 2.5}, SCHEMA) == {
        "count": "many",
        "unknown": "1",
        "maybe": 2.5,
    }


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        ({"type": "SCHEDULED", "name": "Late"}, "Scheduled"),
        ({"type": "SCHEDULED", "name": "AwaitingRetry"}, "Retrying"),
        ({"type": "PENDING", "name": "NotReady"}, "Failed"),
        ({"type": "CANCELLING", "name": "Cancelling"}, "Running"),
        ({"type": "FAILED", "name": "TimedOut"}, "Failed"),
        ({"type": "COMPLETED", "name": "Cached"}, "Completed"),
    ],
)
def test_states_of_prefect(state: dict[str, str], wanted: str) -> None:
    assert state_of({"state": state}) == wanted
    assert state_of({"state": None, "state_type": state["type"], "state_name": state["name"]}) == wanted


def test_keys_of_subflows_are_counted_where_they_are_called() -> None:
    tasks = [
        {"id": "a", "task_key": "outer#1", "name": "outer-1"},
        {"id": "b", "task_key": "below-123", "name": "below-0"},
        {"id": "c", "task_key": "below-123", "name": "below-1", "task_inputs": {"__parents__": [{"id": "a"}]}},
        {"id": "d", "task_key": "below-123", "name": "below-2"},
    ]
    assert keys_of(tasks) == {"a": "outer#1", "b": "below#1", "c": "outer#1/below#1", "d": "below#2"}


def test_ids_and_instants() -> None:
    ours = "01a2025c-5e36-731a-a5f6-ba72e77e69a5"
    assert called({"id": "theirs", "idempotency_key": f"penstock:{ours}"}) == ours
    assert called({"id": "theirs", "idempotency_key": "penstock:../../etc"}) == "theirs"
    assert called({"id": "theirs", "idempotency_key": "scheduled x"}) == called({"id": "theirs"}) == "theirs"
    assert micros("1970-01-01T00:00:01.000002+00:00") == micros("1970-01-01T00:00:01.000002Z") == 1_000_002
    assert micros(None) is None


@pytest.mark.parametrize("url", ["", "127.0.0.1:4200", "ftp://x/api"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="PREFECT_API_URL"):
        prefect_engine(EngineSettings(environment={"PREFECT_API_URL": url}, home="home"))


class Answer:
    def __init__(self, status: int, body: Any = None) -> None:
        self.status_code, self._body, self.content, self.text = status, body, b"x", "text"

    def json(self) -> Any:
        if self._body is None:
            raise ValueError
        return self._body


def asking(*answers: Answer) -> tuple[PrefectClient, list[float]]:
    """A client of a server that answers this, and how long it has waited between."""
    rests: list[float] = []
    left = list(answers)

    class Http:
        def request(self, *_: Any, **__: Any) -> Answer:
            return left.pop(0)

    client = PrefectClient({"PREFECT_API_URL": "http://x/api"}, rests.append)
    client._client = Http()
    return client, rests


def test_a_busy_server_is_asked_again() -> None:
    client, rests = asking(Answer(503), Answer(429), Answer(200, {"a": 1}))
    assert client.ask("GET", "/a") == {"a": 1}
    assert len(rests) == 2
    client, rests = asking(*[Answer(503)] * 20)
    with pytest.raises(EngineUnreachable, match="503"):
        client.ask("GET", "/a")
    assert 5 < sum(rests) < 30


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (Answer(401), EngineRefused, "PREFECT_API_KEY"),
        (Answer(404, {"detail": "Not Found"}), EngineRefused, "/api"),
        (Answer(422, {"exception_detail": [{"loc": ["body", "name"], "msg": "too long"}]}), EngineRefused, "body.name"),
        (Answer(500), EngineUnreachable, "text"),
        (Answer(409, ["odd", {"b": 1}]), EngineRefused, "odd"),
    ],
)
def test_what_a_server_refuses_is_told(answer: Answer, kind: type[Exception], told: str) -> None:
    client, _ = asking(answer)
    with pytest.raises(kind, match=told):
        client.ask("GET", "/a")


def test_what_is_no_prefect_is_told() -> None:
    client, _ = asking(Answer(200))
    with pytest.raises(EngineRefused, match="not Prefect's API"):
        client.ask("GET", "/a")


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"PREFECT_API_URL": "http://ann:secret@x/api"}, "holds a password"),
        ({"PREFECT_API_URL": "http://x/api", "PREFECT_API_REQUEST_TIMEOUT": "soon"}, "soon"),
        ({"PREFECT_API_URL": "http://x/api", "PREFECT_API_REQUEST_TIMEOUT": "nan"}, "nan"),
    ],
)
def test_settings_that_cannot_be(environment: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        PrefectClient(environment)
    assert "secret" not in str(caught.value)


@task(retries=2, timeout_seconds=3)
def ready() -> None: ...


def around() -> None:
    with transaction():
        ready()


@flow
def hidden() -> None:
    around()


@flow
def harmless() -> None:
    import time

    time.sleep(0)


def test_needs_are_found_in_what_is_called() -> None:
    assert needs_of(hidden) >= {"transactions", "retries", "timeouts"}
    assert "waiting" not in needs_of(harmless)
