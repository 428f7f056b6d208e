"""Streams: each thing once and in order, whoever comes, leaves, is slow, or is killed meanwhile."""

from __future__ import annotations

import asyncio
import math
import random
import socket
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from tests.unit.listening import Heard, complete_steps, heard, listen, log, messages, numbers, parsed

from penstock.app import Penstock, load_settings
from penstock.control.access import User, current_user
from penstock.control.app import create_app
from penstock.control.patience import Pushing
from penstock.control.problems import Problem
from penstock.control.server import serving
from penstock.control.settings import ServerSettings
from penstock.control.streams import EventsSubject, Hub, RunSubject
from penstock.control.streams.beginnings import Beginnings
from penstock.control.streams.frames import LINE, RECORD, Frame, after, together
from penstock.control.streams.topics import Heard as Listened
from penstock.control.streams.topics import Push, Topic
from penstock.core.errors import JournalUnavailable
from penstock.core.events import DeadlineMissed, Record, RunCompleted, Stored, now_us
from penstock.core.model import LogLine
from penstock.core.ports import Journal
from penstock.journal import MemoryJournal, SqliteJournal
from penstock.orchestrator.emitting import emit
from penstock.orchestrator.watching import EventFilter
from penstock.testing.journal_search import born
from penstock.testing.samples import log_line, task_started


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = SqliteJournal(tmp_path / "journal.db")
    yield found
    found.close()


@pytest.fixture
def penstock(journal: Journal) -> Penstock:
    return Penstock(load_settings(), journal=journal)


@pytest.fixture
def url(penstock: Penstock) -> Iterator[str]:
    with serving(penstock, ServerSettings(port=0)) as address:
        yield f"{address}/api/v1"


def ended(journal: Journal, run_id: str, seq: int) -> None:
    journal.append(run_id, seq, [Record(RunCompleted(at=99))])


def a_run(journal: Journal, steps: int = 5, lines: int = 7) -> str:
    run_id = born(journal, name="amber-otter", tags=("etl",))
    for number in range(steps):
        complete_steps(journal, run_id, 2 + number, 1)
    log(journal, run_id, *(f"line {number}" for number in range(lines)))
    return run_id


def go(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def test_a_run_that_has_ended_is_told_from_its_beginning(journal: Journal, url: str) -> None:
    run_id = a_run(journal)
    ended(journal, run_id, 7)
    found = listen(f"{url}/runs/{run_id}/stream")
    assert numbers(found) == list(range(1, 9))
    assert messages(found) == [f"line {number}" for number in range(7)]
    assert [each.name for each in found][-2:] == ["state", "end"]
    assert found[-1].data["state"] == "Completed"
    assert {each.name for each in found} == {"state", "step", "log", "end"}
    assert next(each for each in found if each.name == "state").data["state"] == "Pending"


def test_whoever_comes_again_hears_the_rest_once(journal: Journal, url: str) -> None:
    run_id = a_run(journal)
    ended(journal, run_id, 7)
    address = f"{url}/runs/{run_id}/stream"
    whole = [each for each in listen(address) if each.name != "end"]
    for place, each in enumerate(whole[:-1]):
        rest = listen(address, each.id)
        assert [other.data for other in rest[:-1]] == [other.data for other in whole[place + 1 :]]
        assert [other.id for other in rest[:-1]] == [other.id for other in whole[place + 1 :]]
    over = httpx.get(address, headers={"Last-Event-ID": whole[-1].id})
    assert (over.status_code, over.content) == (204, b"")
    assert listen(address, last_event_id=whole[3].id)[0].data == whole[4].data


@pytest.mark.parametrize("told", ["x", "1", "999-0", "0-999999", "-1-0", "1-1-1", "9" * 60, "\u0661-0"], ids=range(8))
def test_ids_that_are_none(journal: Journal, url: str, told: str) -> None:
    run_id = a_run(journal)
    answer = httpx.get(f"{url}/runs/{run_id}/stream", params={"last_event_id": told})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Last-Event-ID"
    if not told.isdecimal() or len(told) > 19 or not told.isascii():
        assert httpx.get(f"{url}/events/stream", params={"last_event_id": told}).status_code == 422


def test_a_run_is_heard_while_it_goes_on(journal: Journal, url: str) -> None:
    run_id = a_run(journal, steps=0, lines=0)
    heard_by: list[list[Heard]] = []
    before = set(threading.enumerate())
    begun = threading.Barrier(21)

    def hear() -> None:
        with httpx.stream("GET", f"{url}/runs/{run_id}/stream", timeout=30) as answer:
            begun.wait()
            heard_by.append(list(_frames(answer)))

    threads = [threading.Thread(target=hear) for _ in range(20)]
    for thread in threads:
        thread.start()
    begun.wait()
    for number in range(20):
        complete_steps(journal, run_id, 2 + number, 1)
        log(journal, run_id, f"line {number}")
    ended(journal, run_id, 22)
    for thread in threads:
        thread.join(30)
    assert len(heard_by) == 20
    for found in heard_by:
        assert numbers(found) == list(range(1, 24))
        assert messages(found) == [f"line {number}" for number in range(20)]
        assert found[-1].name == "end"
    readers = [each for each in set(threading.enumerate()) - before if each.name.startswith("penstock-streams")]
    assert len(readers) <= 3, "however many listen"


def _frames(answer: httpx.Response) -> Iterator[Heard]:
    from tests.unit.listening import parsed

    return parsed(answer.iter_lines())


def test_a_line_waits_for_the_start_of_its_step(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start is recorded a moment after it, and the line may have been read by then."""
    monkeypatch.setattr("penstock.control.streams.beginnings._PATIENCE_SECONDS", 60.0)
    run_id = a_run(journal, steps=0, lines=0)
    hub = Hub(journal)
    begun = task_started(3)

    async def hear() -> list[Heard]:
        return [each async for each in heard(hub.listen(RunSubject(journal, run_id), (0, 0)))]

    async def work() -> None:
        hearing = asyncio.create_task(hear())
        while not hub._topics:
            await asyncio.sleep(0.01)
        journal.write_logs([log_line(run_id, "first", "fetch#3"), log_line(run_id, "second", None)])
        await asyncio.sleep(0.5)
        journal.append(run_id, 2, [begun])
        journal.write_logs([log_line(run_id, "of no step that is known", "gone#1")])
        journal.append(run_id, 3, [Record(RunCompleted(at=now_us()))])
        found = await hearing
        told = [each.data.get("message") or each.data["event"] for each in found if each.name != "end"]
        assert told[2:] == ["TaskStarted", "first", "second", "of no step that is known", "RunCompleted"]

    go(work())


def test_no_line_waits_for_long() -> None:
    def stored(seq: int, record: Record) -> Stored:
        return Stored(seq, "r", seq, *record)

    found = Beginnings()
    line, other = LogLine("r", "fetch#1", 10, 20, "here", "a"), LogLine("r", None, 20, 20, "here", "b")
    before, behind = (stored(seq, Record(DeadlineMissed(at=seq, promise="x", deadline=1))) for seq in (9, 11))
    assert found.told("r", [before, behind], [line, other], 0.0) == ([before], [])
    assert found.told("r", [behind], [line, other], 0.1, full=True) == ([behind], [line, other])
    assert found.told("r", [behind], [line, other], 0.4) == ([], [])
    assert found.told("r", [behind], [line, other], 0.5) == ([behind], [line, other])
    assert found.told("r", [], [line], 0.6) == ([], [line])
    found.only(["other"])
    assert found.told("r", [], [line], 0.6) == ([], [])
    end = stored(5, Record(RunCompleted(at=30)))
    assert found.told("r", [end], [line], 0.6) == ([end], [line])
    assert found.told("r", [], [line], 0.6) == ([], [line]), "nothing waits beyond the end"


def test_a_storm_of_listeners_that_come_and_go(journal: Journal) -> None:
    async def storm() -> None:
        hub = Hub(journal)
        run_id = a_run(journal, steps=0, lines=0)
        chance = random.Random(7)

        def work() -> None:
            for number in range(60):
                complete_steps(journal, run_id, 2 + number * 5, 5)
                log(journal, run_id, *(f"{number} {n}" for n in range(4)))
            ended(journal, run_id, 302)

        async def hear() -> list[Heard]:
            subject, place, found = RunSubject(journal, run_id), (0, 0), list[Heard]()
            while True:
                left = chance.randrange(1, 60)
                stream = hub.listen(subject, place)
                async for each in heard(stream):
                    if each.name == "end":
                        await stream.aclose()
                        return found
                    found.append(each)
                    left -= 1
                    if not left:
                        break
                await stream.aclose()
                first, _, second = found[-1].id.partition("-")
                place = (int(first), int(second))

        hearing = [asyncio.create_task(hear()) for _ in range(8)]
        await asyncio.to_thread(work)
        expected = [f"{number} {n}" for number in range(60) for n in range(4)]
        for found in await asyncio.gather(*hearing):
            assert numbers(found) == list(range(1, 304))
            assert messages(found) == expected
        assert hub.listeners == 0
        assert not hub._topics

    go(storm())


def test_a_slow_listener_misses_nothing_and_takes_no_memory(journal: Journal) -> None:
    async def slowly() -> None:
        hub = Hub(journal)
        run_id = a_run(journal, steps=0, lines=0)
        slow = heard(hub.listen(RunSubject(journal, run_id), (0, 0)))
        other = heard(hub.listen(RunSubject(journal, run_id), (0, 0)))
        begun = [await anext(slow), await anext(slow)]
        quick = [await anext(other), await anext(other)]
        for number in range(6):
            await asyncio.to_thread(log, journal, run_id, *(f"{number} {n} {'x' * 200}" for n in range(500)))
            while len(quick) < 2 + 500 * (number + 1):
                quick.append(await anext(other))
        (topic,) = hub._topics.values()
        assert len(topic._frames) <= 1000
        assert topic._bytes <= 262_144
        assert not topic.covers((2, 0))
        ended(journal, run_id, 2)
        begun += [each async for each in slow]
        quick += [each async for each in other]
        assert messages(begun) == messages(quick)
        assert len(messages(begun)) == len(set(messages(begun))) == 3000
        assert numbers(begun) == [1, 2, 3]

    go(slowly())


def test_one_frame_of_enormous_size(journal: Journal) -> None:
    async def work() -> None:
        hub = Hub(journal)
        run_id = a_run(journal, steps=0, lines=0)
        stream = heard(hub.listen(RunSubject(journal, run_id), (0, 0)))
        await anext(stream)
        log(journal, run_id, "x" * 3_000_000, "a\r\nb\n\nid: 9-9\n\ndata: forged\u2028\x85", "\ud800 end")
        ended(journal, run_id, 2)
        found = [each async for each in stream]
        assert len(messages(found)[0]) == 3_000_000
        assert messages(found)[1] == "a\r\nb\n\nid: 9-9\n\ndata: forged\u2028\x85"
        assert found[-1].name == "end"

    go(work())


def test_servers_that_stop_say_so_and_the_next_one_goes_on(journal: Journal, penstock: Penstock) -> None:
    run_id = a_run(journal)
    first: list[Heard] = []
    with serving(penstock, ServerSettings(port=0)) as address:
        hearing = threading.Event()

        def hear() -> None:
            with httpx.stream("GET", f"{address}/api/v1/runs/{run_id}/stream", timeout=30) as answer:
                for each in _frames(answer):
                    first.append(each)
                    if len(first) == 14:
                        hearing.set()

        thread = threading.Thread(target=hear)
        thread.start()
        assert hearing.wait(30)
    thread.join(30)
    assert first[-1] == Heard(first[-2].id, "again", {"reason": "stopping"})
    complete_steps(journal, run_id, 7, 3)
    log(journal, run_id, "later")
    ended(journal, run_id, 10)
    with serving(penstock, ServerSettings(port=0)) as address:
        rest = listen(f"{address}/api/v1/runs/{run_id}/stream", first[-1].id)
    assert numbers([*first, *rest]) == list(range(1, 12))
    assert messages([*first, *rest]) == [*(f"line {number}" for number in range(7)), "later"]


def test_no_stream_begins_on_a_server_that_stops_or_is_full(journal: Journal) -> None:
    hub = Hub(journal, most=0)
    with pytest.raises(Problem, match="listen already") as found:
        hub.admit()
    assert found.value.status == 503
    hub = Hub(journal)
    hub.close()
    with pytest.raises(Problem, match="being stopped"):
        hub.admit()


def test_something_is_sent_from_time_to_time_and_nobody_stays_for_ever(journal: Journal) -> None:
    async def work() -> None:
        run_id = a_run(journal, steps=0, lines=0)
        hub = Hub(journal, heartbeat_seconds=0.05)
        stream = hub.listen(RunSubject(journal, run_id), (0, 0))
        parts = [await anext(stream) for _ in range(4)]
        assert parts[0].startswith(b"retry: ")
        assert parts[2:] == [b":\nid: 2-0\n\n"] * 2
        await stream.aclose()
        hub = Hub(journal, heartbeat_seconds=0.05, longest_seconds=0.2)
        last = [each async for each in heard(hub.listen(RunSubject(journal, run_id), (0, 0)))][-1]
        assert (last.name, last.data) == ("again", {"reason": "time"})

    go(work())


def test_a_run_that_is_deleted_meanwhile(journal: Journal) -> None:
    async def work() -> None:
        run_id = a_run(journal, steps=0, lines=0)
        hub = Hub(journal, heartbeat_seconds=0.1)
        stream = heard(hub.listen(RunSubject(journal, run_id), (0, 0)))
        await anext(stream)
        await anext(stream)
        journal.delete([run_id])
        assert [each.name async for each in stream] == ["gone"]

    go(work())


def test_a_journal_that_is_away_for_a_while(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        run_id = a_run(journal, steps=0, lines=0)
        hub = Hub(journal)
        stream = heard(hub.listen(RunSubject(journal, run_id), (0, 0)))
        await anext(stream)
        await anext(stream)
        asked, news = [], journal.news

        def away(*args: Any) -> Any:
            asked.append(args)
            if len(asked) <= 2:
                raise JournalUnavailable("It is away.")
            return news(*args)

        monkeypatch.setattr("penstock.control.streams.hub._AGAIN_SECONDS", 0.01)
        monkeypatch.setattr(journal, "news", away)
        complete_steps(journal, run_id, 2, 3)
        ended(journal, run_id, 5)
        found = [each async for each in stream]
        assert numbers(found) == [3, 4, 5, 6]
        assert len(asked) > 2

        def gone(*args: Any) -> Any:
            raise JournalUnavailable("It is away.")

        monkeypatch.setattr(journal, "load", gone)
        found = [each async for each in heard(hub.listen(RunSubject(journal, run_id), (0, 0)))]
        assert [each.data for each in found] == [{"reason": "unavailable"}]

    go(work())


def test_events_are_heard_by_filters(journal: Journal, url: str) -> None:
    head = journal.head()
    a_run(journal)
    emit(journal, "orders.imported", "orders", {"rows": 3})
    emit(journal, "users.imported", "users")
    other = born(journal, name="b", flow="other")
    ended(journal, other, 2)
    address = f"{url}/events/stream"

    def names(most: int, **query: Any) -> list[str]:
        return [each.data["event"] for each in listen(address, str(head), most, **query)]

    assert names(6) == [
        "RunCreated", "RunStarted", "orders.imported", "users.imported", "RunCreated", "RunStarted"
    ]  # fmt: skip
    assert names(2, type="*.imported") == ["orders.imported", "users.imported"]
    assert names(1, type="*.imported", about="users") == ["users.imported"]
    assert names(3, run=other) == ["RunCreated", "RunStarted", "RunCompleted"]
    assert names(2, tag="etl") == ["RunCreated", "RunStarted"]
    assert names(5, type="Task*") == ["TaskCompleted"] * 5
    whole = listen(address, str(head), 7)
    for place, each in enumerate(whole[:-1]):
        assert listen(address, each.id, len(whole) - place - 1) == whole[place + 1 :]
    assert httpx.get(address, params={"type": "x" * 201}).status_code == 422


def test_events_while_listeners_come_and_go(journal: Journal) -> None:
    async def storm() -> None:
        hub = Hub(journal)
        chance = random.Random(3)
        head = journal.head()

        def work() -> None:
            for number in range(150):
                emit(journal, f"e{number % 3}.x", str(number))

        async def hear(pattern: str, wanted: list[str]) -> None:
            subject = EventsSubject(journal, EventFilter(patterns=(pattern,)), hub.facts)
            place, found = head, list[str]()
            while len(found) < len(wanted):
                left = chance.randrange(1, 20)
                stream = hub.listen(subject, (place, 0))
                async for each in heard(stream):
                    found.append(each.data["about"])
                    place = int(each.id)
                    left -= 1
                    if not left or len(found) == len(wanted):
                        break
                await stream.aclose()
            assert found == wanted

        every = [str(number) for number in range(150)]
        hearing = [asyncio.create_task(hear("e*", every)) for _ in range(3)]
        hearing += [asyncio.create_task(hear(f"e{n}.x", every[n::3])) for n in (0, 1, 2)]
        await asyncio.to_thread(work)
        await asyncio.gather(*hearing)

    go(storm())


def test_a_listener_for_rare_events_need_not_look_through_all_again(journal: Journal) -> None:
    async def work() -> None:
        hub = Hub(journal, heartbeat_seconds=0.05)
        subject = EventsSubject(journal, EventFilter(patterns=("rare",)), hub.facts)
        stream = hub.listen(subject, (journal.head(), 0))
        await anext(stream)
        for _ in range(10):
            emit(journal, "common")
        async for part in stream:
            if part == b":\nid: %d\n\n" % journal.head():
                break
        await stream.aclose()

    go(work())


def test_only_what_bears_a_users_tags_is_there(journal: Journal, penstock: Penstock) -> None:
    from penstock.control.api.streams import follow_run  # noqa: F401 - the route below

    app = create_app(penstock)
    app.dependency_overrides[current_user] = lambda: User("ann", "viewer", ("etl",))
    mine = a_run(journal)
    ended(journal, mine, 7)
    other = born(journal, name="other", tags=("secret",))
    ended(journal, other, 2)
    emit(journal, "secret.thing")

    async def work() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api/v1") as client:
            assert (await client.get(f"/runs/{other}/stream")).status_code == 404
            assert (await client.get(f"/runs/{mine}/stream")).status_code == 200

    go(work())

    async def events() -> None:
        hub = Hub(journal)
        subject = EventsSubject(journal, EventFilter(any_tags=("etl",)), hub.facts)
        stream = heard(hub.listen(subject, (0, 0)))
        found = [await anext(stream) for _ in range(3)]
        assert {each.data["run"]["id"] for each in found} == {mine}

    go(events())


def test_the_past_is_cut_where_its_parts_end() -> None:
    records = [Frame(RECORD, n, 10 * n, b"") for n in range(1, 5)]
    lines = [Frame(LINE, n, n, b"") for n in range(1, 4)]
    assert together(records, lines) == together(records, lines, more_records=True) == [*lines, *records]
    told = "later records wait for the lines that may come before them"
    assert together(records, lines, more_lines=True) == together(records, lines, more_lines=True, more_records=True)
    assert together(records, lines, more_lines=True) == lines, told
    back = [Frame(LINE, 1, 100, b""), Frame(LINE, 2, 1, b"")]
    assert together([], back, more_lines=True) == back, "times that go back do not change an order"


@pytest.mark.parametrize("refused", [0.0, 0.5, 1.0])
def test_what_is_sent_past_the_generator_comes_in_order_with_what_it_gives(journal: Journal, refused: float) -> None:
    chance = random.Random(7)
    sent: list[bytes] = []
    pushed: list[bool] = []

    def push(part: bytes) -> bool:
        pushed.append(chance.random() >= refused)
        sent.extend([part] if pushed[-1] else ())
        return pushed[-1]

    async def work() -> None:
        run_id = a_run(journal, steps=0, lines=0)
        stream = Hub(journal).listen(RunSubject(journal, run_id), (0, 0), push=push)

        async def take() -> None:
            async for piece in stream:
                sent.append(piece)

        taking = asyncio.create_task(take())
        for number in range(20):
            complete_steps(journal, run_id, 2 + number, 1)
            log(journal, run_id, f"line {number}")
            await asyncio.sleep(0.02)
        ended(journal, run_id, 22)
        await taking

    go(work())
    found = list(parsed(b"".join(sent).decode().splitlines()))
    assert numbers(found) == list(range(1, 24))
    assert messages(found) == [f"line {number}" for number in range(20)]
    assert {True: refused < 1, False: refused > 0} == {way: way in pushed for way in (True, False)}


class Cycle:
    """An answer that goes on, as far as pushing asks about it."""

    def __init__(self, **facts: Any) -> None:
        self.response_started = self.chunked_encoding = True
        self.disconnected = self.response_complete = False
        self.flow = SimpleNamespace(write_paused=False)
        self.written: list[bytes] = []
        self.transport = SimpleNamespace(write=self.written.append)
        vars(self).update(facts)


def test_parts_are_pushed_where_an_answer_goes_on() -> None:
    cycle = Cycle()
    push = Pushing(cycle)
    assert push(b"0123456789abcdef")
    assert push(b"x")
    assert cycle.written == [b"10\r\n0123456789abcdef\r\n", b"1\r\nx\r\n"]
    del cycle
    assert not push(b"x"), "it keeps nobody alive"


@pytest.mark.parametrize(
    "facts",
    [
        {"response_started": False}, {"chunked_encoding": False}, {"disconnected": True}, {"response_complete": True},
        {"flow": SimpleNamespace(write_paused=True)},
    ],
)  # fmt: skip
def test_nothing_is_pushed_where_it_cannot_be(facts: dict[str, Any]) -> None:
    cycle = Cycle(**facts)
    assert not Pushing(cycle)(b"x")
    assert not cycle.written


async def waiting(topic: Topic, push: Push | None = None, until: float = math.inf) -> asyncio.Task[Listened]:
    """Somebody who has heard everything, and waits."""
    task = asyncio.create_task(topic.next(topic.heard(0, topic.place), push, until))
    await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("first", ["beat", "wake"])
def test_what_comes_while_somebody_is_being_woken_is_heard(first: str) -> None:
    async def work() -> None:
        topic = Topic(RunSubject(MemoryJournal(), "r"), (0, 0))
        task = await waiting(topic)
        topic.beat(0) if first == "beat" else topic.wake()
        topic.add([Frame(RECORD, 1, 0, b"a")])
        assert (await task).pieces == (b"id: 1-0\na",)

    go(work())


def test_a_sign_of_life_is_pushed_too_until_their_time_is_over() -> None:
    async def work() -> None:
        topic = Topic(RunSubject(MemoryJournal(), "r"), (7, 0))
        sent: list[bytes] = []
        task = await waiting(topic, lambda part: not sent.append(part), until=10)
        topic.beat(9)
        topic.add([Frame(RECORD, 8, 0, b"a")])
        assert sent == [b":\nid: 7-0\n\n", b"id: 8-0\na"]
        topic.beat(10)
        assert ((await task).pieces, len(sent)) == ((b":\nid: 8-0\n\n",), 2), "they are woken, and told by themselves"

    go(work())


def test_so_much_is_pushed_as_a_connection_is_trusted_to_take() -> None:
    async def work() -> None:
        topic = Topic(RunSubject(MemoryJournal(), "r"), (0, 0))
        sent: list[bytes] = []
        task = await waiting(topic, lambda part: not sent.append(part))
        topic.add([Frame(RECORD, number, 0, b"x" * 50_000) for number in (1, 2, 3)])
        assert (len((await task).pieces), sent) == (2, [])

    go(work())


def test_whoever_cannot_be_pushed_to_keeps_nobody_from_hearing() -> None:
    async def work() -> None:
        topic = Topic(RunSubject(MemoryJournal(), "r"), (0, 0))
        sent: list[bytes] = []

        def broken(part: bytes) -> bool:
            raise RuntimeError("the transport is closed")

        first, _ = await waiting(topic, broken), await waiting(topic, lambda part: not sent.append(part))
        topic.add([Frame(RECORD, 1, 0, b"a")])
        assert ((await first).pieces, sent) == ((b"id: 1-0\na",), [b"id: 1-0\na"])

    go(work())


def test_a_topic_has_what_came_behind_its_beginning() -> None:
    async def work() -> None:
        topic = Topic(RunSubject(MemoryJournal(), "r"), (3, 0))
        topic.add([Frame(RECORD, 3, 0, b"old"), Frame(RECORD, 4, 0, b"a"), Frame(LINE, 1, 0, b"b")])
        assert topic.place == (4, 1)
        first = topic.heard(0, (3, 0))
        assert first.pieces == (b"id: 4-0\na" + b"id: 4-1\nb",)
        assert (first.end, first.place) == (topic.end, topic.place) == (2, (4, 1))
        assert topic.heard(0, (4, 0)).pieces == (b"id: 4-1\nb",)
        assert topic.heard(2, (4, 1)).pieces == ()
        assert topic.heard(0, (3, 0)) is topic.heard(0, (3, 0)), "made once for all who are there"
        assert topic.covers((3, 0))
        assert not topic.covers((2, 9))
        topic.add(Frame(RECORD, n, 0, b"") for n in range(5, 2000))
        assert not topic.covers((4, 1))
        assert topic.covers((1500, 1))
        assert after((4, 9), Frame(LINE, 3, 0, b"")) == (4, 9)

    go(work())


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system closes no connection by itself")
def test_whoever_takes_nothing_is_sent_away(
    journal: Journal, penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.control.server._UNREAD_SECONDS", 1)
    hubs: list[Hub] = []

    def hub(*given: Any) -> Hub:
        hubs.append(Hub(*given))
        return hubs[-1]

    monkeypatch.setattr("penstock.control.app.Hub", hub)
    run_id = a_run(journal, steps=0, lines=0)
    log(journal, run_id, *("x" * 1000 for _ in range(20_000)))
    with serving(penstock, ServerSettings(port=0)) as address, socket.socket() as dumb:
        dumb.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        dumb.connect((httpx.URL(address).host, httpx.URL(address).port))
        dumb.sendall(f"GET /api/v1/runs/{run_id}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        waiting = threading.Event()
        seen = set()
        for _ in range(6000):
            seen.add(hubs[0].listeners)
            if seen == {0, 1} and not hubs[0].listeners:
                break
            waiting.wait(0.01)
        assert hubs[0].listeners == 0
        assert 1 in seen
