"""A journal as an older Penstock left it (layout 0001), and what must be true of it when it has been upgraded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock.core.events import Record, RunCompleted, TaskCompleted
from penstock.core.model import RunFilter
from penstock.core.ports import Journal
from penstock.testing.samples import happened, task_completed

ROOT = "019a0000-0000-7000-8000-00000000000a"
CHILD = "019a0000-0000-7000-8000-00000000000b"
OPEN = "019a0000-1111-7000-8000-00000000000c"
_STEP = '{"key":"fetch#1","name":"fetch","task":"fetch","ordinal":1}'
_REF = '"result":{"serializer":"pickle","size":70000,"ref":"ab12cd"}'

_RUNS = (
    (
        ROOT,
        "amber-otter",
        "load_orders",
        "Failed",
        "HTTPError: 503",
        '{"limit":3,"day":"2026-01-01"}',
        '["prod"]',
        None,
    ),
    (CHILD, "calm-loon", "below", "Failed", "no such user", '{"x":1}', '["deep"]', ROOT),
    (OPEN, "glad-finch", "load_orders", "Running", None, "{}", "[]", None),
)
_EVENTS = (
    (ROOT, 1, "RunCreated", '{"at":1,"flow":"load_orders","name":"amber-otter"}', b'{"limit":3}'),
    (OPEN, 1, "RunCreated", '{"at":1,"flow":"load_orders","name":"glad-finch"}', b"{}"),
    (OPEN, 2, "RunStarted", '{"at":2,"owner":"here|1|2|3","lease_until":9}', None),
    (CHILD, 1, "RunCreated", '{"at":1,"flow":"below","name":"calm-loon","parent_id":"' + ROOT + '"}', None),
    (CHILD, 2, "TaskCompleted", f'{{"at":3,"step":{_STEP},{_REF}}}', None),
    (CHILD, 3, "RunFailed", '{"at":4,"message":"no such user"}', b"error"),
    (ROOT, 2, "RunPainted", '{"at":4,"picture":{"ref":"ef34"}}', None),
    (ROOT, 3, "RunFailed", '{"at":5,"message":"HTTPError: 503"}', None),
)

Execute = Callable[[str, Sequence[Any]], Any]


def write(execute: Execute, mark: str, body: Callable[[str], Any]) -> None:
    """Fill the tables of layout 0001.

    Args:
        execute: executes SQL with values.
        mark: the driver's placeholder.
        body: an event's body as the database wants it.
    """
    columns = "id, name, flow, state, state_name, message, parameters, tags, parent_id, root_id, attempt, created_at"
    for run_id, name, flow, state, message, parameters, tags, parent in _RUNS:
        ended = None if state == "Running" else 5
        values = (
            *(run_id, name, flow, state, state, message, parameters, tags, parent, parent or run_id, 1, 1),
            *(2, ended, None if ended else "here|1|2|3", None if ended else 9, False),
        )
        marks = ", ".join([mark] * len(values))
        more = "started_at, ended_at, owner, lease_until, cancel_requested"
        execute(f"INSERT INTO runs ({columns}, {more}) VALUES ({marks})", values)
    for position, (run_id, seq, kind, text, data) in enumerate(_EVENTS, start=1):
        values = (position, run_id, seq, kind, 1, seq, body(text), data)
        names = "position, run_id, seq, type, version, at, body, data"
        execute(f"INSERT INTO events ({names}) VALUES ({', '.join([mark] * 8)})", values)
    names = "run_id, key, name, task, state, state_name, ordinal, attempt, tags"
    values = (CHILD, "fetch#1", "fetch", "fetch", "Completed", "Completed", 1, 1, "[]")
    execute(f"INSERT INTO task_runs ({names}) VALUES ({', '.join([mark] * 9)})", values)
    line = (ROOT, None, 3, 20, "penstock.flow", "hello")
    execute(f"INSERT INTO logs (run_id, key, at, level, logger, message) VALUES ({', '.join([mark] * 6)})", line)
    execute(f"INSERT INTO cursors (name, position) VALUES ({mark}, {mark})", ("metrics", 5))


def check(journal: Journal) -> None:
    """All of it is there, can be found, and goes on."""
    run, child, opened = (journal.run(run_id) for run_id in (ROOT, CHILD, OPEN))
    assert run is not None
    assert child is not None
    assert opened is not None
    assert (run.state, run.message, run.parameters, run.tags) == (
        "Failed", "HTTPError: 503", {"limit": 3, "day": "2026-01-01"}, ("prod",),
    )  # fmt: skip
    assert (run.priority, run.crashes, run.pool, run.due_at, run.waiting) == (0, 0, None, None, None)
    assert (child.parent_id, child.root_id, opened.owner) == (ROOT, ROOT, "here|1|2|3")
    assert [(stored.stream, stored.seq) for stored in journal.read(0)] == [event[:2] for event in _EVENTS]
    kept = [stored.event for stored in journal.load(CHILD)][1]
    assert isinstance(kept, TaskCompleted)
    assert kept.result is not None
    assert [line.message for line in journal.logs(ROOT)] == ["hello"]
    assert [task.key for task in journal.task_runs(CHILD)] == ["fetch#1"]
    assert journal.cursor("metrics") == 5
    assert journal.refs() == {"ab12cd", "ef34"}
    _check_search(journal)


def _check_search(journal: Journal) -> None:
    def found(**where: Any) -> list[str]:
        return [run.id for run in journal.runs(RunFilter(**where))]

    assert found() == found(text="ord") == [OPEN, ROOT]
    assert found(tags=("prod",)) == found(parameters={"limit": "3"}) == found(text="503") == [ROOT]
    assert found(parameters={"day": "2026-01-01"}, states=("Failed",)) == found(text="orders http") == [ROOT]
    assert found(text="user") == found(tags=("deep",)) == []
    assert found(text="user", children=True) == found(tags=("deep",), children=True) == [CHILD]
    assert [run.id for run in journal.find("b")] == [CHILD]


def go_on(journal: Journal) -> None:
    """The run that was open is finished, and something is recorded that the older layout does not know."""
    journal.append(OPEN, 2, [task_completed(1, cache_key="k"), Record(RunCompleted(at=9))])
    journal.append("dataset/orders", 0, [happened()])
    run = journal.run(OPEN)
    assert run is not None
    assert run.state == "Completed"
