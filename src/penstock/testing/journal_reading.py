"""What a journal must tell."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import random
from typing import Any

import msgspec

from penstock.core.decisions import (
    Finish,
    Release,
    RequestCancel,
    RequestPause,
    Resume,
    Retry,
    RunState,
    Start,
    TaskState,
    decide_run,
    decide_task,
    evolve_run,
    evolve_task,
)
from penstock.core.errors import InvalidTransition
from penstock.core.events import (
    ON_REQUEST,
    Record,
    RunAnswered,
    RunCompleted,
    RunEnded,
    RunPaused,
    RunRescheduled,
    Saved,
    TaskEvent,
    UnknownEvent,
    Waiting,
)
from penstock.core.ids import child_run_id, new_run_id
from penstock.core.model import FlowSummary, RunFilter
from penstock.core.ports import Journal
from penstock.core.states import FINAL
from penstock.testing.openings import Openings
from penstock.testing.samples import begin_run, created, log_line, started, step, task_completed, task_started


class ReadingDuties(Openings):
    """Runs, steps, logs, subscribers, leases."""

    def test_an_empty_journal(self) -> None:
        journal = self.opened()
        nobody = new_run_id()
        assert journal.run(nobody) is None
        assert list(journal.load(nobody)) == []
        empty: list[Any] = [journal.read(0), journal.runs(RunFilter()), journal.flows(), journal.find("a")]
        empty += [journal.task_runs(nobody), journal.logs(nobody)]
        assert empty == [[]] * 6
        assert journal.refs() == set(journal.requested([nobody])) == set(journal.requested([])) == set()
        assert journal.extend_leases([nobody], "me", 1) == journal.extend_leases([], "me", 1) == set()
        assert journal.cursor("nobody") == 0

    def test_the_rows_of_a_new_run(self) -> None:
        journal, run_id = self.opened(), new_run_id()
        born = created(
            shown={"limit": 3, "who": {"name": "Zoë"}}, tags=("b", "a"), entrypoint="flows.py:shop", flow_version="7",
            parent_id="p", parent_key="shop#1", root_id="r", origin_id="o", origin="fork", from_step="fetch#2",
        )  # fmt: skip
        journal.append(run_id, 0, [born])
        run = self.again(journal).run(run_id)
        assert run is not None
        same = ("flow", "name", "entrypoint", "flow_version", "tags", "parent_id", "parent_key", "root_id", "origin_id")
        for field in (*same, "origin", "from_step"):
            assert getattr(run, field) == getattr(born.event, field)
        assert (run.id, run.state, run.state_name, run.attempt) == (run_id, "Pending", "Pending", 0)
        assert (run.parameters, run.created_at) == ({"limit": 3, "who": {"name": "Zoë"}}, born.event.at)
        assert (run.started_at, run.ended_at, run.owner, run.lease_until, run.cancel_requested) == (*[None] * 4, False)
        journal.append(run_id, 1, [started("me")])
        run = journal.run(run_id)
        assert run is not None
        assert (run.state, run.owner, run.attempt, run.ended) == ("Running", "me", 1, False)
        assert run.root_id == "r"

    def test_a_run_without_parents_is_its_own_root(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        run = journal.run(run_id)
        assert run is not None
        assert run.root_id == run_id

    def test_tables_are_what_the_events_add_up_to(self) -> None:
        for seed in range(20):
            random_ = random.Random(seed)
            journal = self.opened()
            run_id = begin_run(journal)
            seq, batch = 2, []
            state = RunState()
            for stored in journal.load(run_id):
                state = evolve_run(state, stored.event)
            tasks: dict[str, TaskState] = {}
            for at in range(1, 60):
                event = _random_event(random_, state, tasks, at)
                if event is None:
                    continue
                batch.append(Record(event))
                state = evolve_run(state, event)
                if random_.random() < 0.4:
                    journal.append(run_id, seq, batch)
                    seq, batch = seq + len(batch), []
            journal.append(run_id, seq, batch)
            self._check_tables(self.again(journal), run_id, state, tasks)

    def _check_tables(self, journal: Journal, run_id: str, state: RunState, tasks: dict[str, TaskState]) -> None:
        run = journal.run(run_id)
        assert run is not None
        assert (run.state, run.attempt, run.name) == (state.type.word, state.attempt, state.name)
        assert (run.owner, run.cancel_requested, run.ended) == (state.owner, state.cancel_requested, state.ended)
        events = [stored.event for stored in journal.load(run_id)]
        ends = [event.at for event in events if isinstance(event, RunEnded)]
        assert run.ended_at == (ends[0] if ends else None)
        last = {event.step.key: event for event in events if isinstance(event, TaskEvent)}
        rows = {row.key: row for row in journal.task_runs(run_id)}
        assert rows.keys() == tasks.keys() == last.keys()
        for key, task in tasks.items():
            row = rows[key]
            assert (row.state, row.attempt, row.child_id) == (task.type.word, task.attempt or 1, last[key].child)
            assert row.ended_at == (last[key].at if task.ended else None)
            assert row.message == getattr(last[key], "message", None)
            assert (row.name, row.task, row.ordinal, row.tags) == (
                task.step.name, task.step.task, task.step.ordinal, task.step.tags,
            )  # fmt: skip

    def test_steps_are_listed_in_the_order_of_their_calls(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        calls = [
            (10, "fetch", None),
            (2, "fetch", None),
            (1, "outer", None),
            (2, "inner", "outer#1"),
            (1, "x", "outer#1"),
        ]
        for seq, (number, task, parent) in enumerate(calls, start=2):
            journal.append(run_id, seq, [task_completed(number, task, parent)])
        keys = [task.key for task in journal.task_runs(run_id)]
        assert keys == ["outer#1", "fetch#2", "fetch#10", "outer#1/x#1", "outer#1/inner#2"]

    def test_load_starts_anywhere(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        journal.append(run_id, 2, [task_completed(number) for number in range(1, 3001)])
        assert [stored.seq for stored in journal.load(run_id, 2990)] == list(range(2991, 3003))
        assert list(journal.load(run_id, 3002)) == []
        assert sum(1 for _ in journal.load(run_id)) == 3002

    def test_read_gives_all_runs_in_pages(self) -> None:
        journal = self.opened()
        runs = [begin_run(journal) for _ in range(5)]
        for seq in range(2, 6):
            for run_id in runs:
                journal.append(run_id, seq, [task_completed(seq)])
        everything = self.settled(journal, 0, 30)
        assert [(stored.stream, stored.seq) for stored in everything] == [
            *((run_id, seq) for run_id in runs for seq in (1, 2)),
            *((run_id, seq) for seq in range(3, 7) for run_id in runs),
        ]
        pages, after = [], 0
        while page := self.again(journal).read(after, 7):
            assert len(page) <= 7
            pages += page
            after = page[-1].position
        assert pages == everything
        assert len({stored.position for stored in pages}) == 30

    def test_cursors(self) -> None:
        journal = self.opened()
        other = self.again(journal)
        assert journal.move_cursor("metrics", 0, 5)
        assert not other.move_cursor("metrics", 0, 9)
        assert not other.move_cursor("lineage", 3, 9)
        assert other.move_cursor("metrics", 5, 9)
        assert not journal.move_cursor("metrics", 5, 12)
        assert (journal.cursor("metrics"), other.cursor("lineage")) == (9, 0)

    def test_leases(self) -> None:
        journal = self.opened()
        mine = [new_run_id() for _ in range(3)]
        theirs, ended = new_run_id(), new_run_id()
        for run_id in mine:
            journal.append(run_id, 0, [created(), started("me")])
        journal.append(theirs, 0, [created(), started("they")])
        journal.append(ended, 0, [created(), started("me"), Record(RunCompleted(at=1))])
        asked = [*mine, theirs, ended, new_run_id()]
        assert journal.extend_leases(asked, "me", 77) == set(mine)
        assert journal.extend_leases(mine, "me", 78) == set(mine)
        leases = {run_id: run.lease_until for run_id in asked if (run := journal.run(run_id)) is not None}
        assert {leases[run_id] for run_id in mine} == {78}
        assert leases[theirs] not in (77, 78)
        assert leases[ended] is None

    def test_requests_to_pause(self) -> None:
        journal = self.opened()
        run_id, both = begin_run(journal), begin_run(journal)
        state = RunState(attempt=1)
        for each in (run_id, both):
            journal.append(each, 2, [Record(decide_run(state, RequestPause(1, "ann", "wrong day")))])
        journal.append(both, 3, [Record(decide_run(state, RequestCancel(1)))])
        assert journal.requested([run_id, both, new_run_id()]) == {run_id: "pause", both: "cancel"}
        waiting = Waiting(key=ON_REQUEST, kind="pause", prompt="Paused by ann.")
        journal.append(run_id, 3, [Record(RunPaused(at=2, waiting=waiting))])
        run = journal.run(run_id)
        assert run is not None
        assert (run.state, run.waiting, run.owner, run.pause_requested) == ("Paused", waiting, None, True)
        journal.append(run_id, 4, [Record(RunRescheduled(at=3, due_at=3))])
        assert journal.requested([run_id]) == {run_id: "pause"}, "it stays, whoever takes the run"
        journal.append(run_id, 5, [Record(RunAnswered(at=4, step=ON_REQUEST, by="bob"))])
        run = journal.run(run_id)
        assert run is not None
        assert (run.state, run.due_at, run.pause_requested) == ("Scheduled", 3, False)
        assert journal.requested([run_id]) == {}

    def test_requests_to_cancel(self) -> None:
        journal = self.opened()
        asked, quiet, back = (begin_run(journal) for _ in range(3))
        state = RunState(attempt=1)
        for run_id in (asked, back):
            journal.append(run_id, 2, [Record(decide_run(state, RequestCancel(1, "enough")))])
        assert journal.requested([asked, quiet, back, new_run_id()]) == dict.fromkeys((asked, back), "cancel")
        journal.append(back, 3, [Record(decide_run(state, Resume(2, "they", 9)))])
        assert journal.requested([asked, quiet, back]) == {asked: "cancel"}
        many = [new_run_id() for _ in range(1200)]
        assert journal.requested([*many, asked]) == {asked: "cancel"}
        assert journal.extend_leases([*many, asked], "here|1|2|3", 5) == {asked}

    def test_find(self) -> None:
        journal = self.opened()
        runs = [begin_run(journal, name=f"name-{number}") for number in range(5)]
        target = runs[2]
        assert [run.id for run in journal.find(target)] == [target]
        assert target in [run.id for run in journal.find(target[:8], 100)]
        assert [run.id for run in journal.find(target[-12:])] == [target]
        assert [run.id for run in journal.find("name-3")] == [runs[3]]
        assert [run.id for run in journal.find(target[:1], 3)] == sorted(runs, reverse=True)[:3]
        for nothing in ("name-", "%", "_", target[4:20], target + "0", "0" + target, "NAME-3", "\\", "'"):
            assert journal.find(nothing) == []

    def test_filters_and_pages(self) -> None:
        journal = self.opened()
        runs = []
        for number in range(40):
            run_id = begin_run(journal, flow=("shop", "web")[number % 2])
            if number % 4 < 2:
                journal.append(run_id, 2, [Record(RunCompleted(at=number))])
            runs.append(run_id)
        child = child_run_id(runs[7], "sub#1", 1)
        journal.append(child, 0, [created(flow="sub", parent_id=runs[7], parent_key="sub#1")])
        newest_first = sorted(runs, reverse=True)

        def ids(**where: Any) -> list[str]:
            return [run.id for run in journal.runs(RunFilter(**{"limit": 100, **where}))]

        assert ids() == newest_first
        assert ids(children=True) == sorted([*runs, child], reverse=True)
        assert ids(parent_id=runs[7]) == [child]
        assert ids(flow="web") == sorted(runs[1::2], reverse=True)
        assert ids(states=("Completed",)) == sorted((r for n, r in enumerate(runs) if n % 4 < 2), reverse=True)
        assert ids(states=("Completed", "Running"), flow="shop") == sorted(runs[::2], reverse=True)
        assert ids(states=("Paused",)) == ids(flow="no such") == []
        assert ids(limit=7) == newest_first[:7]
        pages: list[str] = []
        while page := ids(limit=7, flow="shop", before=pages[-1] if pages else None):
            pages += page
        assert pages == sorted(runs[::2], reverse=True)

    def test_flows(self) -> None:
        journal = self.opened()
        first = begin_run(journal, flow="web", entrypoint="old.py:web")
        last = begin_run(journal, flow="web", entrypoint="new.py:web")
        shop = begin_run(journal, flow="shop")
        journal.append(new_run_id(), 0, [created(flow="sub", parent_id=shop)])
        newest = journal.run(max(first, last))
        only = journal.run(shop)
        assert newest is not None
        assert only is not None
        assert journal.flows() == [
            FlowSummary("shop", 1, shop, "Running", only.created_at, None),
            FlowSummary("web", 2, newest.id, "Running", newest.created_at, newest.entrypoint),
        ]

    def test_logs(self) -> None:
        journal = self.opened()
        run_id, other = begin_run(journal), begin_run(journal)
        lines = [log_line(run_id, f"line {number}", key=("a#1", "b#1", None)[number % 3]) for number in range(30)]
        journal.write_logs(lines[:10])
        journal.write_logs([])
        journal.append(run_id, 2, [task_completed()], lines[10:20])
        journal.write_logs([log_line(other, "elsewhere"), *lines[20:]])
        found = self.again(journal).logs(run_id)
        assert [msgspec.structs.replace(line, id=0) for line in found] == lines
        ids = [line.id for line in found]
        assert ids == sorted(set(ids))
        assert [line.message for line in journal.logs(run_id, "b#1", limit=3)] == ["line 1", "line 4", "line 7"]
        assert journal.logs(run_id, after=ids[24], limit=2) == found[25:27]
        assert journal.logs(run_id, after=ids[-1]) == []
        journal.delete([other])
        journal.write_logs([log_line(run_id, "last")])
        assert [line.message for line in journal.logs(run_id, after=ids[-1])] == ["last"]

    def test_references(self) -> None:
        journal = self.opened()
        run_id, gone = begin_run(journal, parameters=Saved("json", 9, "par")), begin_run(journal)
        inline = msgspec.structs.replace(task_completed(1).event, message='a "ref" of no worth')
        far = msgspec.structs.replace(task_completed(2).event, result=Saved("pickle", 9, "res"))
        later = UnknownEvent(at=1, name="RunPainted", layout=2, body={"at": 1, "x": [{"picture": {"ref": "pic"}}]})
        journal.append(run_id, 2, [Record(inline), Record(far), Record(later)])
        journal.append(gone, 2, [Record(RunCompleted(at=1, result=Saved("pickle", 9, "old")))])
        assert journal.refs() == {"par", "res", "pic", "old"}
        journal.delete([gone])
        assert journal.refs() == {"par", "res", "pic"}

    def test_status_and_vacuum(self) -> None:
        journal = self.opened()
        run_id = begin_run(journal)
        journal.append(run_id, 2, [task_started(), task_completed(2)], [log_line(run_id)])
        journal.vacuum()
        status = journal.status()
        assert (status["kind"], status["location"]) == (journal.kind, journal.location)
        assert [status[table] for table in ("runs", "task_runs", "events", "logs")] == [1, 2, 4, 1]
        assert journal.run(run_id) is not None


def _random_event(random_: random.Random, state: RunState, tasks: dict[str, TaskState], at: int) -> Any:
    """An event that a random command leads to; None when the state refuses the command."""
    try:
        if random_.random() < 0.3:
            commands = (
                Start(at, "me", at), Resume(at, f"owner {at}", at), Retry(at), Release(at, f"why {at}"),
                RequestCancel(at), Finish(at, random_.choice(sorted(FINAL)), message="so") if at > 50 else Release(at),
            )  # fmt: skip
            return decide_run(state, random_.choice(commands))
        number = random_.randint(1, 6)
        task = tasks.get(f"fetch#{number}") or TaskState(step(number))
        child = random_.choice((None, "child"))
        ending = Finish(at, random_.choice(sorted(FINAL)), message=f"m{at}", child=child, started=at)
        event = decide_task(task, random_.choice((Start(at, child=child), Retry(at), ending)))
        tasks[task.step.key] = evolve_task(task, event)
        return event
    except InvalidTransition:
        return None
