"""Alerts on their way: each channel by itself, silences, groups, digests, another try, and what is told of runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.patience import until
from tests.unit.alert_sites import S, Stand, Told
from tests.unit.api_server import Api, Reply, Request, api

from penstock import flow, get_run_logger, task
from penstock.automations import declare
from penstock.connections import DiscordConnection, SlackConnection, WebhookConnection
from penstock.core.clock import clock_of
from penstock.core.errors import BadAlerts, InvalidTransition, PlanNotFound
from penstock.core.secrets import Secret, masked
from penstock.core.states import State
from penstock.orchestrator import outbox, silences
from penstock.orchestrator.automations import automations_in_project
from penstock.orchestrator.outside import CHANNEL_ATTEMPTS
from penstock.orchestrator.telling import for_channel
from penstock.testing import Simulation


@pytest.fixture
def clock() -> Iterator[Stand]:
    found = Stand()
    with clock_of(found):
        yield found


@pytest.fixture
def site() -> Iterator[Api]:
    with api(lambda request: Reply(status=204)) as found:
        yield found


TABLE = {
    "channels": {
        "a": {"type": "webhook", "connection": "a"},
        "b": {"type": "discord", "connection": "b"},
    }
}


def told(clock: Stand, site: Api, **options: object) -> Told:
    table = {"channels": {name: {**each, **options} for name, each in TABLE["channels"].items()}}
    connections = {
        "a": WebhookConnection(url=Secret(f"{site.url}/a"), timeout_seconds=30),
        "b": DiscordConnection(url=Secret(f"{site.url}/b"), timeout_seconds=30),
    }
    return Told(clock, table, connections)


def test_each_channel_is_tried_by_itself(clock: Stand, site: Api) -> None:
    world = told(clock, site)
    statuses = {"/a": [500, 204], "/b": []}
    site.site = lambda request: Reply(status=statuses[request.path].pop(0) if statuses[request.path] else 204)
    world.on("a", "b")
    world.emit()
    world.settle()
    world.settle(5)
    assert sorted(request.path for request in site.asked) == ["/a", "/a", "/b"]
    assert sorted(each.facts["to"][0] for each in world.ended()) == ["a", "b"]
    assert [each.state for each in outbox.alerts_of(world.journal)] == ["told", "told"]


def test_one_that_never_answers_holds_up_no_other(clock: Stand, site: Api) -> None:
    world = told(clock, site)

    def answer(request: Request) -> Reply:
        if request.path == "/a":
            site.hush.wait(30)
        return Reply(status=204)

    site.site = answer
    world.on("a", "b")
    for number in range(20):
        world.emit(str(number))
    outside = world.automations.actions.outside
    while len(world.ended()) < 20:
        world.automations.turn(clock.at)
        for lane, thread in list(outside._busy.values()):
            if lane == "alerts/b":
                thread.join(10)
    assert {each.facts["to"][0] for each in world.ended()} == {"b"}
    until(lambda: [request for request in site.asked if request.path == "/a"], "the thread of the other channel asks")
    assert sum(request.path == "/a" for request in site.asked) == 1, "one thread for each channel"
    site.hush.set()
    assert outside.settle(30)


def test_it_comes_back_when_it_was_asked_to(clock: Stand, site: Api) -> None:
    world = told(clock, site)
    says = [Reply(status=429, headers={"Retry-After": "120"})]
    site.site = lambda request: says.pop(0) if says else Reply(status=204)
    world.on("a")
    world.emit("one")
    world.settle()
    world.emit("two")
    world.settle(60)
    assert len(site.asked) == 1, "the channel is left alone, whatever else there is to tell"
    world.settle(61)
    assert len(site.asked) == 3


def test_what_could_not_be_told_is_kept_and_tried_anew(clock: Stand, site: Api) -> None:
    world = told(clock, site)
    site.site = lambda request: Reply(status=500)
    world.on("a", title="T")
    world.emit()
    world.settle()
    (waits,) = outbox.alerts_of(world.journal)
    assert (waits.state, waits.attempts, waits.error) == ("waiting", 1, "127.0.0.1 answered 500")
    for _ in range(CHANNEL_ATTEMPTS + 5):
        world.settle(1000)
    assert len(site.asked) == CHANNEL_ATTEMPTS
    (failed,) = outbox.alerts_of(world.journal, ("failed",))
    assert (failed.title, failed.to, failed.error) == ("T", ("a",), "127.0.0.1 answered 500")
    site.site = lambda request: Reply(status=204)
    again = outbox.retry(world.journal, failed.id)
    with pytest.raises(InvalidTransition, match="again already"):
        outbox.retry(world.journal, failed.id)
    world.settle()
    found = {each.id: each.state for each in outbox.alerts_of(world.journal)}
    assert found == {failed.id: "failed", again: "told"}
    with pytest.raises(InvalidTransition, match="did not fail"):
        outbox.retry(world.journal, again)
    for nothing in ("", "x", "it/1/0", "it/9999/zero", "../../x"):
        with pytest.raises(PlanNotFound):
            outbox.retry(world.journal, nothing)


def test_a_channel_without_its_connection_is_off(clock: Stand) -> None:
    world = Told(clock, TABLE, {})
    world.on("a", "b")
    world.emit()
    world.settle()
    assert [each.error for each in world.ended()] == [None, None]
    assert {each.state for each in outbox.alerts_of(world.journal)} == {"skipped"}


def test_a_connection_of_another_type_is_told(clock: Stand, site: Api) -> None:
    world = Told(clock, TABLE, {"a": SlackConnection(token=Secret("xoxb-good"))})
    world.on("a")
    world.emit()
    world.settle()
    (ended,) = world.ended()
    assert ended.error == "The connection a is of the type slack, and a channel of the type webhook needs webhook."


def test_silences(clock: Stand, site: Api) -> None:
    world = told(clock, site)
    world.on("a")
    silence = silences.start(world.journal, {"facts.word": ["quiet*", "hush"], "level": "warning"}, 3600, by="ann")
    later = silences.start(world.journal, {}, 60, since=clock.at + 7200 * S)
    for word in ("quiet-1", "hush", "loud"):
        world.emit(word)
    world.settle()
    assert [request.json["data"]["message"] for request in site.asked] == ["loud"]
    states = [(each.state, each.error) for each in outbox.alerts_of(world.journal)]
    assert sorted(states) == [("silenced", None), ("silenced", None), ("told", None)]
    assert silences.end(world.journal, silence.id[:-1], "bob")
    assert not silences.end(world.journal, silence.id)
    world.emit("quiet-2")
    world.settle(1)
    assert site.asked[-1].json["data"]["message"] == "quiet-2"
    world.settle(7200)
    world.emit("anything")
    world.settle()
    assert len(site.asked) == 2
    found = silences.Silences(world.journal).all()
    assert [(each.id, each.over(clock.at)) for each in found] == [(later.id, False), (silence.id, True)]


@pytest.mark.parametrize(
    ("where", "seconds", "told"),
    [
        ({}, 0, "more than nothing"),
        ({}, float("nan"), "more than nothing"),
        ({}, 1e18, "a year at most"),
        ({"a b": 1}, 60, "cannot name a fact"),
        ({"flow": []}, 60, "nothing at all"),
        ({"flow": {"a": 1}}, 60, "cannot name a fact"),
        ({f"f{n}": 1 for n in range(30)}, 60, "more than 20"),
    ],
    ids=["nothing", "nan", "for-ever", "path", "empty", "deep", "many"],
)
def test_a_silence_that_cannot_be(clock: Stand, where: dict[str, object], seconds: float, told: str) -> None:
    world = Told(clock, {}, {})
    with pytest.raises(BadAlerts, match=told):
        silences.start(world.journal, where, seconds)
    assert silences.Silences(world.journal).all() == []


def test_a_silence_with_a_key_is_made_once(clock: Stand) -> None:
    world = Told(clock, {}, {})
    first = silences.start(world.journal, {"flow": "a"}, 60, key="k")
    assert silences.start(world.journal, {"flow": "b"}, 90, key="k") == first
    assert len(silences.Silences(world.journal).all()) == 1


def test_a_group_is_one_message_with_a_count(clock: Stand, site: Api) -> None:
    world = told(clock, site, group_seconds=60, group_by="about")
    world.on("a", title="Trouble")
    for number in range(5):
        world.emit(str(number))
    world.settle()
    assert [request.json["data"]["title"] for request in site.asked] == ["Trouble"]
    world.settle(61)
    assert [request.json["data"]["title"] for request in site.asked] == ["Trouble", "Trouble (4 times)"]
    assert site.asked[1].json["data"]["count"] == 4
    assert [line.rpartition(" ")[2] for line in site.asked[1].json["data"]["message"].splitlines()] == list("1234")
    assert len(world.ended()) == 5


def test_a_digest(clock: Stand, site: Api) -> None:
    world = told(clock, site, digest="@hourly")
    world.on("a", title="Trouble")
    world.on("a", name="other", event="come", title="More", level="error")
    world.emit("1")
    world.emit("2", event="come")
    world.settle()
    world.settle(60)
    assert site.asked == []
    world.settle(3600)
    (request,) = site.asked
    data = request.json["data"]
    assert data["title"] == "2 alerts since 2026-01-01T00:00Z"
    assert (data["level"], data["count"]) == ("error", 2)
    assert "Trouble: 1" in data["message"]
    assert "More: 2" in data["message"]


@task
def load(day: str) -> None:
    get_run_logger().info("loading %s", day)
    raise ValueError(f"no {day}")


@flow
def etl(day: str, api_token: str = "s3cret", works: bool = False) -> str:
    return "done" if works else load(day)


def test_what_is_told_of_a_run_that_fails_and_of_one_that_completes_again(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.penstock.alerts]\nruns = "failed"\nto = "file"\n')
    with Simulation("2026-01-01", flows={"etl": etl}) as simulation:
        declare(*automations_in_project(file).values())
        etl("monday", works=True)
        for _ in range(2):
            with pytest.raises(ValueError, match="no monday"):
                etl("monday")
        etl("monday", works=True)
        etl("monday", works=True)
        simulation.run(seconds=10)
        titles = [(each.title, each.resolves) for each in simulation.alerts]
        wanted = [("etl Completed", "run-failed"), ("etl Failed", None), ("etl Failed", None)]
        assert sorted(titles) == wanted, "a file has no lane: they are told at once, and any may be the first"
        channel = Told(Stand(), TABLE, {}).settings.channels["a"]
        failed = next(each for each in simulation.alerts if each.title == "etl Failed")
        shown = for_channel(simulation.app.journal, failed, channel, "https://penstock.example.com/")
    run_id = shown.facts["run"]["id"]
    assert shown.thread == run_id
    assert shown.link == f"https://penstock.example.com/api/v1/runs/{run_id}"
    assert shown.more["failed task"].startswith("load")
    assert shown.more["error"] == "ValueError: no monday"
    assert '"day":"monday"' in shown.more["parameters"]
    assert "s3cret" not in str(shown), "nothing of what sounds secret leaves"
    assert "duration" in shown.more
    assert "loading monday" in (shown.log or "")


@flow
def several() -> list[State]:
    return [load(day, return_state=True) for day in ("monday", "tuesday")]


def test_a_run_that_raises_nothing_fails_with_the_error_of_its_task(tmp_path: Path) -> None:
    """So does every workflow: its end is the states of its tasks."""
    file = tmp_path / "pyproject.toml"
    file.write_text('[tool.penstock.alerts]\nruns = "failed"\nto = "file"\n')
    with Simulation("2026-01-01", flows={"several": several}) as simulation:
        declare(*automations_in_project(file).values())
        several(return_state=True)
        simulation.run(seconds=10)
        (alert,) = simulation.alerts
        table = {"channels": {"a": {"type": "webhook", "connection": "a", "title": "{flow}: {more.error}"}}}
        channel = Told(Stand(), table, {}).settings.channels["a"]
        shown = for_channel(simulation.app.journal, alert, channel, "")
    assert "error" not in alert.facts
    assert shown.title == "several: ValueError: no monday"
    assert shown.more["error"] == "ValueError: no monday"


def test_secrets_by_their_names() -> None:
    hidden = masked({"a": [{"db_password": "x", "n": 1}], "API-KEY": "y"})
    assert hidden == {"a": [{"db_password": "***", "n": 1}], "API-KEY": "***"}
