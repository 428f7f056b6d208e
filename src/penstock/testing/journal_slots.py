"""How a journal must keep who holds what (leases, slots, turns), and what outlives its run."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import threading
import time
from typing import Any

from penstock.core.clock import now_us
from penstock.core.errors import LimitNotFound
from penstock.core.events import ArtifactSaved, Record, RunCompleted, RunPaused, RunStarted, Saved, Waiting
from penstock.core.ids import new_run_id
from penstock.core.model import Artifact, Cached, CacheFilter, Limit
from penstock.core.plans import LimitDeclared, LimitDeleted
from penstock.core.ports import Journal
from penstock.testing.openings import Openings
from penstock.testing.samples import HOSTILE, MINUTE, begin_run, created, refused, started, task_completed, together

SECOND = 1_000_000
OWNER = "here|1|2|3"


def limited(journal: Journal, name: str = "db", slots: int | None = None, **more: Any) -> None:
    """Declare a limit."""
    stream = f"limit/{name}"
    journal.append(stream, journal.last_seq(stream), [Record(LimitDeclared(at=1, name=name, slots=slots, **more))])


def drawn(journal: Journal, occupy: int = 1, run_id: str | None = None, limit: str = "db") -> tuple[str, int]:
    """Draw a ticket for a live run; returns the run and the ticket."""
    run_id = run_id or begin_run(journal)
    return run_id, journal.queue_up(limit, run_id, OWNER, "fetch#1", occupy, now_us())


class SlotDuties(Openings):
    """Leases, tickets, turns."""

    def test_leases_of_anything(self) -> None:
        journal = self.opened()
        other = self.again(journal)
        assert journal.holder("scheduler") is None
        assert journal.hold("scheduler", "me", 100, 200)
        assert other.holder("scheduler") == "me"
        assert not other.hold("scheduler", "they", 150, 300)
        assert not other.hold("scheduler", "they", 200, 300)
        assert journal.hold("scheduler", "me", 150, 250)
        assert not other.hold("scheduler", "they", 201, 300), "it was extended"
        assert other.hold("scheduler", "they", 251, 300)
        assert not journal.hold("scheduler", "me", 252, 400)
        journal.let_go("scheduler", "me")
        assert not journal.hold("scheduler", "me", 253, 400), "only its holder can let go"
        assert journal.holder("scheduler") == "they"
        other.let_go("scheduler", "they")
        assert journal.holder("scheduler") is None
        assert journal.hold("scheduler", "me", 254, 400)
        assert other.hold("another", "they", 1, 2)

    def test_one_of_many_holds_a_lease(self) -> None:
        journal = self.opened()
        openings = [journal, self.again(journal)]
        held: list[int] = []

        def work(number: int) -> None:
            if openings[number % 2].hold("scheduler", f"owner {number}", 100, 200):
                held.append(number)

        together(work, 8)
        assert len(held) == 1

    def test_slots_are_given_in_the_order_of_the_tickets(self) -> None:
        journal = self.opened()
        limited(journal, slots=2)
        tickets = [drawn(journal)[1] for _ in range(4)]
        now = now_us()
        assert tickets == sorted(tickets)
        assert [journal.admitted(ticket, now) for ticket in tickets] == [True, True, False, False]
        assert journal.limits() == [Limit(name="db", slots=2, taken=2, waiting=2)]
        assert self.again(journal).hand_back(tickets[:1]) == 1
        assert [journal.admitted(ticket, now) for ticket in tickets] == [None, True, True, False]
        assert journal.hand_back([tickets[0], tickets[2], tickets[3]]) == 2
        assert journal.hand_back([]) == 0
        assert journal.limits() == [Limit(name="db", slots=2, taken=1, waiting=0)]

    def test_who_needs_more_slots_is_not_overtaken(self) -> None:
        journal = self.opened()
        limited(journal, slots=3)
        (_, two), (_, three), (_, one) = (drawn(journal, occupy) for occupy in (2, 3, 1))
        now = now_us()
        assert [journal.admitted(ticket, now) for ticket in (two, three, one)] == [True, False, False]
        assert journal.limits() == [Limit(name="db", slots=3, taken=2, waiting=2)]
        journal.hand_back([two])
        assert [journal.admitted(ticket, now) for ticket in (three, one)] == [True, False]
        journal.hand_back([three])
        assert journal.admitted(one, now) is True

    def test_a_slot_is_the_lease_of_a_live_run(self) -> None:
        ends: list[Any] = [
            RunCompleted(at=1),
            RunStarted(at=1, owner="another", lease_until=now_us() + MINUTE),
            RunPaused(at=1, waiting=Waiting(key="sleep#1", kind="sleep", until=99)),
        ]
        for end in [*ends, None]:
            journal = self.opened()
            limited(journal, slots=1)
            (dead, first), (_, second) = drawn(journal), drawn(journal)
            now = now_us()
            assert journal.admitted(second, now) is False
            if end is None:
                journal.delete([dead])
            else:
                journal.append(dead, 2, [Record(end)])
            assert journal.admitted(second, now) is True
            assert journal.admitted(first, now) is None, "its slot is given to another: it must queue up again"

    def test_an_expired_lease_gives_its_slot_up_for_good(self) -> None:
        journal = self.opened()
        limited(journal, slots=1)
        (stopped, first), (running, second) = drawn(journal), drawn(journal)
        later = now_us() + 2 * MINUTE
        journal.extend_leases([running], OWNER, later + MINUTE)
        assert journal.admitted(second, later) is True
        journal.extend_leases([stopped], OWNER, later + MINUTE)
        assert journal.admitted(first, later) is None, "two would hold the one slot"
        assert journal.admitted(second, later) is True

    def test_a_limit_that_is_not_declared_admits_all(self) -> None:
        journal = self.opened()
        tickets = [drawn(journal, 5)[1] for _ in range(3)]
        assert {journal.admitted(ticket, now_us()) for ticket in tickets} == {True}
        limited(journal, slots=5)
        assert [journal.admitted(ticket, now_us()) for ticket in tickets] == [True, False, False]
        limited(journal, slots=10)
        assert [journal.admitted(ticket, now_us()) for ticket in tickets] == [True, True, False]
        limited(journal, per_second=1.0)
        assert {journal.admitted(ticket, now_us()) for ticket in tickets} == {True}
        journal.append("limit/db", journal.last_seq("limit/db"), [Record(LimitDeleted(at=2, name="db"))])
        assert journal.limits() == []

    def test_never_more_than_the_slots_at_once(self) -> None:
        journal = self.opened()
        openings = [journal, self.again(journal), self.again(journal)]
        limited(journal, slots=3)
        runs = [begin_run(journal) for _ in range(6)]
        lock, live, most, done = threading.Lock(), [0], [0], [0]

        def work(number: int) -> None:
            mine = openings[number % 3]
            for turn in range(8):
                occupy = 1 + (number + turn) % 3
                ticket = mine.queue_up("db", runs[number], OWNER, None, occupy, now_us())
                while not (answer := mine.admitted(ticket, now_us())):
                    assert answer is False
                    time.sleep(0.002)
                with lock:
                    live[0] += occupy
                    most[0] = max(most[0], live[0])
                with lock:
                    live[0] -= occupy
                    done[0] += 1
                mine.hand_back([ticket])

        together(work, 6)
        assert done[0] == 48
        assert most[0] <= 3
        assert journal.limits() == [Limit(name="db", slots=3)]
        assert journal.tickets() == []

    def test_tickets(self) -> None:
        journal = self.opened()
        run_id, one = drawn(journal, 2)
        _, two = drawn(journal, limit="api")
        found = journal.tickets()
        assert [(each.id, each.limit, each.occupy, each.step) for each in found] == [
            (one, "db", 2, "fetch#1"), (two, "api", 1, "fetch#1"),
        ]  # fmt: skip
        assert not found[0].lost(now_us())
        assert [each.id for each in journal.tickets("api")] == [two]
        assert len(journal.tickets(owner=OWNER, most=1)) == 1
        journal.append(run_id, 2, [Record(RunCompleted(at=1))])
        assert journal.tickets("db")[0].lease_until is None
        assert journal.reset_limit("db") == 1
        assert [each.id for each in journal.tickets()] == [two]

    def test_turns_of_a_rate(self) -> None:
        journal = self.opened()
        now = 1_000 * SECOND
        turns = [journal.reserve("api", 1, 10.0, None, now) - now for _ in range(4)]
        assert turns == [0, SECOND // 10, 2 * SECOND // 10, 3 * SECOND // 10]
        assert self.again(journal).reserve("api", 1, 10.0, None, now + SECOND // 20) - now == 4 * SECOND // 10
        rested = now + 60 * SECOND
        assert journal.reserve("api", 1, 10.0, None, rested) == rested
        assert journal.reserve("api", 5, 10.0, None, rested + SECOND) == rested + SECOND, (
            "many turns at once wait after"
        )
        assert journal.reserve("api", 1, 10.0, None, rested + SECOND) == rested + SECOND + SECOND // 2
        assert journal.reserve("other", 1, 10.0, None, now) == now

    def test_turns_used_at_once(self) -> None:
        journal = self.opened()
        now = 1_000 * SECOND
        assert [journal.reserve("api", 1, 10.0, 3, now) - now for _ in range(5)] == [0, 0, 0, 100_000, 200_000]
        rested = now + 60 * SECOND
        assert [journal.reserve("api", 1, 10.0, 3, rested) - rested for _ in range(4)] == [0, 0, 0, 100_000]

    def test_a_turn_that_would_come_too_late_is_not_taken(self) -> None:
        journal = self.opened()
        now = 1_000 * SECOND
        assert journal.reserve("api", 1, 1.0, None, now) == now
        for _ in range(3):
            assert journal.reserve("api", 1, 1.0, None, now, latest=now + 10) == now + SECOND
        assert journal.reserve("api", 1, 1.0, None, now) == now + SECOND

    def test_a_declared_rate_counts_more_than_a_given_one(self) -> None:
        journal = self.opened()
        now = 1_000 * SECOND
        with refused(LimitNotFound):
            journal.reserve("api", 1, None, None, now)
        limited(journal, "api", per_second=4.0, burst=2)
        turns = [journal.reserve("api", 1, 1000.0, 50, now) - now for _ in range(4)]
        assert turns == [0, 0, SECOND // 4, SECOND // 2]
        assert journal.limits() == [Limit(name="api", per_second=4.0, burst=2)]
        limited(journal, "api", per_second=2.0)
        assert journal.reserve("api", 1, None, None, now + 60 * SECOND) == now + 60 * SECOND
        limited(journal, "api", slots=3)
        with refused(LimitNotFound):
            journal.reserve("api", 1, None, None, now)

    def test_a_rate_is_never_exceeded(self) -> None:
        journal = self.opened()
        openings = [journal, self.again(journal)]
        rate, burst = 50.0, 4
        turns: list[int] = []
        begin = 1_000 * SECOND

        def work(number: int) -> None:
            for turn in range(25):
                turns.append(openings[number % 2].reserve("api", 1, rate, burst, begin + turn * 17_000))

        together(work, 6)
        turns.sort()
        assert len(turns) == 150
        for window in (SECOND // 10, SECOND, 2 * SECOND):
            most = max(sum(at <= other < at + window for other in turns) for at in turns)
            assert most <= burst + window * rate / SECOND
        assert turns[-1] - begin < 4 * SECOND, "turns must not be lost either"

    def test_cached_results(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        forever = task_completed(1, cache_key="a/1")
        brief = task_completed(2, cache_key="b/2", cache_until=50)
        journal.append(run_id, 2, [forever, brief, task_completed(3)])
        other = self.again(journal)
        at = forever.event.at
        entry = Cached(
            key="a/1", task="fetch", run_id=run_id, step="fetch#1", created_at=at, expires_at=None,
            saved=Saved("json", 2), data=b"42",
        )  # fmt: skip
        assert other.cached("a/1", 1 << 60) == entry
        assert other.cached("b/2", 49) is not None
        assert other.cached("b/2", 50) is other.cached("a", 0) is other.cached("c", 0) is None
        assert [(each.key, each.data) for each in other.cache_entries(CacheFilter())] == [("a/1", None), ("b/2", None)]
        journal.delete([run_id])
        assert other.cached("a/1", 1) == entry, "it outlives its run"

    def test_a_cached_result_is_replaced_by_a_newer_one(self) -> None:
        journal = self.opened()
        first, second = begin_run(journal), begin_run(journal)
        journal.append(first, 2, [task_completed(1, cache_key="a", cache_until=9)])
        new = Record(task_completed(7, cache_key="a").event, b"newer")
        journal.append(second, 2, [new])
        found = journal.cached("a", 100)
        assert found is not None
        assert (found.run_id, found.step, found.data, found.expires_at) == (second, "fetch#7", b"newer", None)

    def test_forgetting_cached_results(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        entries = [task_completed(n, cache_key=f"k{n:03}", cache_until=n or None) for n in range(6)]
        journal.append(run_id, 2, [*entries, task_completed(9, task="clean", cache_key="z")])

        def keys(which: CacheFilter, after: str = "", limit: int = 100) -> list[str]:
            return [each.key for each in journal.cache_entries(which, after, limit)]

        assert journal.forget_cached(CacheFilter(keys=("k001", "none"))) == 1
        assert journal.forget_cached(CacheFilter(task="clean", made_before=entries[0].event.at)) == 0
        assert journal.forget_cached(CacheFilter(task="clean")) == 1
        assert keys(CacheFilter(expired_by=3)) == ["k002", "k003"]
        assert journal.forget_cached(CacheFilter(task="fetch", expired_by=3)) == 2
        assert keys(CacheFilter()) == ["k000", "k004", "k005"]
        assert keys(CacheFilter(task="fetch"), "k000", 1) == ["k004"]
        assert keys(CacheFilter(prefix="k00")) == ["k000", "k004", "k005"]
        assert keys(CacheFilter(prefix="k005")) == ["k005"]
        assert keys(CacheFilter(prefix="%")) == keys(CacheFilter(task="clean")) == keys(CacheFilter(keys=())) == []
        assert journal.forget_cached(CacheFilter(keys=())) == 0
        many = [task_completed(n, cache_key=f"m{n}") for n in range(1_300)]
        journal.append(run_id, 9, many)
        chosen = tuple(f"m{n}" for n in range(1, 1_300))
        assert keys(CacheFilter(keys=chosen), "m9", 2) == ["m90", "m900"]
        assert journal.forget_cached(CacheFilter(keys=chosen)) == 1_299
        assert journal.forget_cached(CacheFilter(prefix="m")) == 1
        journal.append(run_id, 1_309, many)
        assert journal.forget_cached(CacheFilter()) == 1_303
        assert keys(CacheFilter()) == []

    def test_artifacts(self) -> None:
        journal = self.opened()
        run_id, other = begin_run(journal), begin_run(journal)
        saved = [
            Record(ArtifactSaved(at=5, id="01", kind="table", key="report", step="fetch#1", description="d"), b"[1]"),
            Record(ArtifactSaved(at=6, id="02", kind="markdown"), b'"# hi"'),
        ]
        journal.append(run_id, 2, saved)
        journal.append(other, 2, [Record(ArtifactSaved(at=7, id="03", kind="table", key="report"), b"[2]")])
        one = Artifact(
            id="01", kind="table", run_id=run_id, at=5, key="report", step="fetch#1", description="d", data=b"[1]"
        )
        found = self.again(journal)
        assert found.artifacts(run_id) == [Artifact(id="02", kind="markdown", run_id=run_id, at=6, data=b'"# hi"'), one]
        assert [each.id for each in found.artifacts(key="report")] == ["03", "01"]
        assert found.artifacts(run_id, "report") == [one]
        assert [each.id for each in found.artifacts()] == ["03", "02", "01"]
        assert [each.id for each in found.artifacts(before="03", limit=1)] == ["02"]
        journal.delete([run_id])
        assert [each.id for each in found.artifacts()] == ["03"]

    def test_any_text_can_name_them(self) -> None:
        journal = self.opened()
        for text in HOSTILE.values():
            if len(text) > 1_000:
                continue
            limited(journal, text, slots=1)
            run_id = new_run_id()
            journal.append(run_id, 0, [created(), started(), task_completed(1, task=text, cache_key=text)])
            ticket = journal.queue_up(text, run_id, OWNER, text, 1, now_us())
            assert journal.admitted(ticket, now_us()) is True
            assert journal.admitted(journal.queue_up(text, run_id, OWNER, text, 1, now_us()), now_us()) is False
            assert journal.hold(text, text, 1, 2)
            assert not journal.hold(text, "other", 1, 2)
            journal.reserve(f"{text}rate", 1, 1.0, None, 0)
            assert journal.cached(text, 0) is not None
