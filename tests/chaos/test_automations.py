"""Automations whose processes are killed at every append, and several processes that look after the same ones."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from tests.chaos import automating
from tests.chaos.lab import Lab, Worker, until
from tests.patience import until_settled
from tests.unit.automations_oracle import ACTION, KINDS, check
from tests.unit.web import Web, web

from penstock.automations import Automation, Call, EmitEvent, PauseDeployment, RunDeployment, Trigger
from penstock.core.deployments import Deployment
from penstock.core.events import now_us
from penstock.core.model import RunFilter
from penstock.core.plans import AutomationFired, Happened
from penstock.core.ports import Journal
from penstock.journal.memory import MemoryJournal
from penstock.orchestrator.automations import declare
from penstock.orchestrator.deployments import declare as deploy
from penstock.orchestrator.emitting import emit

pytestmark = pytest.mark.chaos
_AHEAD = 1000.0
"""Longer than anything waits for another attempt."""


@pytest.fixture
def server() -> Iterator[Web]:
    with web() as found:
        yield found


def prepare(journal: Journal, name: str, url: str | None = None) -> None:
    """Two matches, and a silence; with a URL to call, or without."""
    deploy(journal, Deployment(name=f"nightly-{name}", flow="nightly", entrypoint="none.py:nightly"))
    actions = (
        RunDeployment(f"nightly-{name}", {"n": "{count}"}),
        EmitEvent(f"done.{name}", "{firing}"),
        PauseDeployment(f"nightly-{name}"),
        *([Call(f"{url}/{name}")] if url is not None else []),
    )
    quiet = (EmitEvent(f"done.{name}", "{firing}"),)
    declare(
        journal,
        Automation(name=f"pairs-{name}", trigger=Trigger(event=f"go.{name}", count=2), actions=actions),
        Automation(name=f"quiet-{name}", trigger=Trigger(event=f"never.{name}", missing_seconds=1), actions=quiet),
    )
    for _ in range(5):
        emit(journal, f"go.{name}")


def verify(journal: Journal, name: str, server: Web | None = None) -> None:
    until_settled(journal)
    events = [stored.event for stored in journal.read(0, 100_000)]
    fired = [e.id for e in events if isinstance(e, AutomationFired) and e.name.endswith(f"-{name}")]
    pairs = [each for each in fired if each.startswith("pairs")]
    assert (len(pairs), len(fired)) == (2, 3)
    assert len(set(fired)) == 3
    told = Counter(e.about for e in events if isinstance(e, Happened) and e.name == f"done.{name}")
    assert told == Counter(fired)
    runs = journal.runs(RunFilter(deployment=f"nightly-{name}"))
    assert [run.parameters for run in runs] == [{"n": 2}] * 2
    assert journal.deployments(f"nightly-{name}")[0].paused
    if server is not None:
        keys = {asked.headers["Idempotency-Key"] for asked in server.asked if asked.path == f"/{name}"}
        assert keys == {f"{each}/3" for each in pairs}
    far = now_us() + 10**15
    assert journal.owed_actions(far, False) == journal.owed_actions(far, True) == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_every_append_each_match_fires_once(
    lab: Lab, store: dict[str, Any], journal: Journal, moment: str, server: Web
) -> None:
    for at in count(1):
        name = f"{moment}-{at}"
        prepare(journal, name, server.url)
        ahead = at * 3 * _AHEAD
        killed = lab.run(automating.settle, store=store, ahead=ahead, fault=[moment, at]).killed
        if killed:
            lab.run(automating.settle, store=store, ahead=ahead + _AHEAD).value  # noqa: B018
        verify(journal, name, server)
        if not killed:
            assert at > 12, "there are more appends than that"
            break


def test_killed_again_and_again_it_gets_to_its_end(lab: Lab, store: dict[str, Any], journal: Journal) -> None:
    """Every process is killed right after the second thing it has written."""
    prepare(journal, "again")
    kills = 0
    while lab.run(automating.settle, store=store, ahead=(kills + 1) * _AHEAD, fault=["after", 2]).killed:
        kills += 1
        assert kills < 60
    assert kills > 2
    verify(journal, "again")


@pytest.mark.parametrize("seed", [1, 2])
def test_several_look_after_the_same_automations_and_are_killed(
    lab: Lab, store: dict[str, Any], journal: Journal, seed: int
) -> None:
    for name, kind in (("one", KINDS[1]), ("two", KINDS[5])):
        automation = Automation(name=name, trigger=kind.trigger, actions=(ACTION,), description=str(KINDS.index(kind)))
        declare(journal, automation)
    chance = random.Random(seed)
    at_work = [_attending(lab, store, f"{number}") for number in range(3)]
    each = 150
    tellers = [lab.start(automating.tell, store=store, count=each) for _ in range(2)]
    for told in range(30, 2 * each, 30):
        until(lambda told=told: _told(journal) >= told, "events are told of")  # type: ignore[misc]
        place = chance.randrange(len(at_work))
        at_work[place].signal(signal.SIGKILL)
        assert lab.wait(at_work[place]).killed
        at_work[place] = _attending(lab, store, f"after-{told}")
    for teller in tellers:
        lab.wait(teller).value  # noqa: B018
    for worker in at_work:
        worker.signal(signal.SIGKILL)
        assert lab.wait(worker).killed
    lab.run(automating.settle, store=store, ahead=0).value  # noqa: B018
    until_settled(journal)
    records = journal.read(0, 100_000)
    fired = check(journal, now_us(), records)
    assert sum(fired.values()) > each / 3


def _attending(lab: Lab, store: dict[str, Any], name: str) -> Worker:
    ready = lab.folder / f"ready-{name}"
    worker = lab.start(automating.attend, store=store, ready=str(ready))
    until(ready.exists, "it is at work")
    return worker


def _told(journal: Journal) -> int:
    """All that is on record counts, also what a transaction of somebody else holds back."""
    records = journal.read_back(None, 100_000)
    return sum(isinstance(s.event, Happened) and s.event.name.startswith("a.") for s in records)


def test_the_story_itself(server: Web) -> None:
    """Undisturbed, in this process: what the tests above compare with."""
    journal = MemoryJournal()
    prepare(journal, "calm", server.url)
    from penstock.core.clock import clock_of
    from penstock.orchestrator.automations import Automations

    with clock_of(automating.Ahead(_AHEAD)):
        Automations(journal, {}).settle()
    verify(journal, "calm", server)
