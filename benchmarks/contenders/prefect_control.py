"""Prefect server, asked over its API. Nothing executes its runs."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import uuid
from typing import Any

import desk
from common import home, report
from desk import PAGE, POSTGRES, STEPS, Ask
from plant import Plant

BEGIN = 1_700_000_000
FLOWS = 20
STATES = ("COMPLETED", "FAILED", "CRASHED")
CHUNK = 200
"""So many task runs are the most that it answers at once."""


def served() -> dict[str, str]:
    """Where its database is, when it is not in its home."""
    if not POSTGRES:
        return {}
    return {"PREFECT_API_DATABASE_CONNECTION_URL": POSTGRES.replace("postgresql://", "postgresql+asyncpg://")}


class Prefect(desk.Site):
    """`prefect server start`."""

    ready = "/api/ready"

    def __init__(self) -> None:
        self.flow = self.deployment = self.run = ""

    def start(self, running: Plant) -> "subprocess.Popen[bytes]":
        command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", os.environ["BENCH_PORT"]]
        return running.start(sys.executable, *command, **served())

    def fill(self, topic: str, count: int) -> None:
        """Make one run through the API, end the server, and copy the rows of that run."""
        if topic != "api-listing":
            return
        with Plant() as running:
            desk.until_ready(self, self.start(running))
            self.declare()
        statements = [*copies(self.flow, self.run, count)]
        if POSTGRES:
            copy_postgres(statements)
        else:
            copy_sqlite(statements)

    def prepare(self, topic: str) -> None:
        if topic == "api-listing":
            return
        self.declare()
        if topic == "api-read":
            desk.load([("one", [self.task_run(place)]) for place in range(STEPS)], desk.WRITERS)

    def declare(self) -> None:
        """Make a flow, a deployment of it, and a run that has completed."""
        self.flow = desk.call(self, "POST", "/api/flows/", {"name": "flow"})["id"]
        self.deployment = desk.call(self, "POST", "/api/deployments/", self.described("asked"))["id"]
        self.run = desk.call(self, "POST", f"/api/deployments/{self.deployment}/create_flow_run", {})["id"]
        for kind in ("PENDING", "RUNNING", "COMPLETED"):
            state = {"state": {"type": kind, "name": kind.title()}, "force": True}
            desk.call(self, "POST", f"/api/flow_runs/{self.run}/set_state", state)

    def described(self, name: str) -> dict[str, Any]:
        """A deployment."""
        return {
            "name": name,
            "flow_id": self.flow,
            "description": "one of many",
            "tags": ["bench", "etl"],
            "entrypoint": "control_tasks.py:first",
            "parameters": {"key": "none"},
        }

    def task_run(self, place: int) -> Ask:
        """A request that makes a task run."""
        state = {"type": "COMPLETED", "name": "Completed"}
        body = {
            "flow_run_id": self.run, "task_key": "fetch", "name": f"fetch-{place}", "dynamic_key": str(place),
            "tags": ["api"], "state": state,
        }  # fmt: skip
        return desk.ask(self, "POST", "/api/task_runs/", body)

    def sending(self, number: int) -> list[Ask]:
        event = {
            "occurred": stamp(int(time.time())),
            "event": "git.push",
            "resource": {"prefect.resource.id": "ann/shop"},
            "payload": {"key": str(number), "note": f"mark-{number}.", "ref": "refs/heads/main"},
            "id": str(uuid.uuid4()),
        }
        return [desk.ask(self, "POST", "/api/events", [event])]

    def sent(self) -> int:
        where = {"event": {"name": ["git.push"]}}
        return int(desk.call(self, "POST", "/api/events/filter", {"filter": where, "limit": 1})["total"])

    def listening(self) -> dict[str, Any]:
        wanted = {"type": "filter", "filter": {"event": {"name": ["git.push"]}}, "backfill": False}
        first = [json.dumps({"type": "auth", "token": None}), json.dumps(wanted)]
        return {"path": "/api/events/out", "kind": "websocket", "first": first}

    def creating(self, number: int) -> list[Ask]:
        return [desk.ask(self, "POST", "/api/deployments/", self.described(f"made_{number}"))]

    def created(self) -> int:
        return int(desk.call(self, "POST", "/api/deployments/count", {}))

    def triggering(self, number: int) -> list[Ask]:
        path = f"/api/deployments/{self.deployment}/create_flow_run"
        return [desk.ask(self, "POST", path, {"parameters": {"key": str(number)}})]

    def triggered(self) -> int:
        return int(desk.call(self, "POST", "/api/flow_runs/count", {}))

    def reading(self) -> list[Ask]:
        where = {"flow_runs": {"id": {"any_": [self.run]}}, "sort": "ID_DESC", "limit": CHUNK}
        chunks = [
            desk.ask(self, "POST", "/api/task_runs/filter", {**where, "offset": offset})
            for offset in range(0, STEPS, CHUNK)
        ]
        return [desk.ask(self, "GET", f"/api/flow_runs/{self.run}"), *chunks]

    def read(self, bodies: list[Any]) -> int:
        return len({one["id"] for chunk in bodies[1:] for one in chunk if one["state_type"] == "COMPLETED"})

    def pages(self, runs: int) -> dict[str, Any]:
        def asking(place: int, **where: Any) -> Ask:
            body = {"sort": "START_TIME_DESC", "limit": PAGE, **where}
            return desk.ask(self, "POST", "/api/flow_runs/filter", body)

        def since(place: int) -> int:
            return BEGIN + runs // 2 * place // desk.TIMES

        def hour(place: int) -> dict[str, str]:
            return {"after_": stamp(since(place)), "before_": stamp(since(place) + 3_600)}

        def states(place: int) -> dict[str, Any]:
            return {"type": {"any_": [STATES[place % 3]]}}

        def named(number: int) -> dict[str, Any]:
            return {"name": {"any_": [f"flow_{number}"]}}

        def within(place: int, run: Any) -> bool:
            return stamp(since(place))[:19] <= run["start_time"][:19] <= stamp(since(place) + 3_600)[:19]

        return {
            "first": (lambda place: asking(place), lambda place, run: True),
            "state": (
                lambda place: asking(place, flow_runs={"state": states(place)}),
                lambda place, run: run["state_type"] == STATES[place % 3],
            ),
            "flow": (
                lambda place: asking(place, flows=named(place % 5)),
                lambda place, run: run["flow_id"] == identity("f", place % 5),
            ),
            "later": (
                lambda place: asking(place, offset=desk.LATER * (place + 1)),
                lambda place, run: run["start_time"][:19] <= stamp(BEGIN + runs - desk.LATER * (place + 1))[:19],
            ),
            "time": (lambda place: asking(place, flow_runs={"start_time": hour(place)}), within),
            "mixed": (
                lambda place: asking(
                    place,
                    flows=named(1),
                    flow_runs={"state": states(1), "start_time": {"after_": stamp(since(place))}},
                ),
                lambda place, run: (run["state_type"], run["flow_id"]) == ("FAILED", identity("f", 1)),
            ),
        }

    def listed(self, body: Any) -> list[Any]:
        found: list[Any] = body
        return found

    def moment(self, run: Any) -> Any:
        return run["start_time"]


def stamp(seconds: int) -> str:
    """A moment as the API takes and tells it."""
    import datetime

    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def identity(kind: str, number: int) -> str:
    """The id of a copied row."""
    return f"0000000{kind}-0000-4000-8000-{number:012x}"


class Words:
    """What is copied otherwise than it is, in the SQL of either database; n.i counts the copies."""

    def __init__(self, kind: str) -> None:
        self.postgres = kind == "postgres"

    def id(self, kind: str, number: str) -> str:
        if self.postgres:
            return f"('0000000{kind}-0000-4000-8000-' || lpad(to_hex({number}), 12, '0'))::uuid"
        return f"printf('0000000{kind}-0000-4000-8000-%012x', {number})"

    def moment(self) -> str:
        if self.postgres:
            return f"to_timestamp({BEGIN} + n.i)"
        return f"strftime('%Y-%m-%d %H:%M:%S', {BEGIN} + n.i, 'unixepoch') || '.000000'"

    def text(self, prefix: str, number: str) -> str:
        return f"'{prefix}' || ({number})"

    def state(self, *, shown: bool) -> str:
        """One run in twenty failed, one in a hundred crashed."""
        names = [name.title() if shown else name for name in STATES]
        nth = f"WHEN n.i / {FLOWS} %"
        found = f"CASE {nth} 20 = 3 THEN '{names[1]}' {nth} 100 = 8 THEN '{names[2]}' ELSE '{names[0]}' END"
        return f"({found})::state_type" if self.postgres and not shown else found

    def numbers(self, count: int) -> str:
        if self.postgres:
            return f"generate_series(0, {count - 1}) AS n(i)"
        counting = f"SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1}"
        return f"(WITH RECURSIVE n(i) AS ({counting}) SELECT i FROM n) AS n"


def copies(flow: str, run: str, count: int) -> list[tuple[str, str, str, int, dict[str, str]]]:
    """What is copied: table, the column and value that its template is known by, how often, and what is otherwise."""
    words = Words("postgres" if POSTGRES else "sqlite")
    moment, state, own = words.moment(), words.state(shown=True), words.id("e", "n.i")
    times = dict.fromkeys(("created", "start_time", "end_time", "expected_start_time"), moment)
    runs = {
        **times, "id": own, "name": words.text("run-", "n.i"), "flow_id": words.id("f", f"n.i % {FLOWS}"),
        "state_id": words.id("5", "n.i"), "state_type": words.state(shown=False), "state_name": state,
        "state_timestamp": moment, "idempotency_key": "NULL",
    }  # fmt: skip
    states = {
        "id": words.id("5", "n.i"), "created": moment, "timestamp": moment, "type": words.state(shown=False),
        "name": state, "flow_run_id": own,
    }  # fmt: skip
    flows = {"id": words.id("f", "n.i"), "name": words.text("flow_", "n.i")}
    last = f"(SELECT state_id FROM flow_run WHERE id = '{run}')"
    return [
        ("flow", "id", f"'{flow}'", FLOWS, flows),
        ("flow_run_state", "id", last, count, states),
        ("flow_run", "id", f"'{run}'", count, runs),
    ]


def inserted(words: Words, columns: list[str], of: tuple[str, str, str, int, dict[str, str]]) -> str:
    """The statement that copies."""
    table, column, value, count, otherwise = of
    shown = ", ".join(f'"{name}"' for name in columns)
    found = ", ".join(otherwise.get(name, f'r."{name}"') for name in columns)
    numbers = words.numbers(count)
    return f"INSERT INTO {table} ({shown}) SELECT {found} FROM {table} AS r, {numbers} WHERE r.{column} = {value}"


def copy_sqlite(statements: list[Any]) -> None:
    """Copy in its SQLite file."""
    words = Words("sqlite")
    store = sqlite3.connect(os.path.join(home(), "prefect.db"), timeout=60)
    for of in statements:
        columns = [row[1] for row in store.execute(f"PRAGMA table_xinfo({of[0]})") if not row[6]]
        store.execute(inserted(words, columns, of))
    store.commit()
    store.execute("ANALYZE")
    store.close()


def copy_postgres(statements: list[Any]) -> None:
    """Copy in its PostgreSQL database, through the driver that it has."""
    import asyncio

    async def copy() -> None:
        import asyncpg

        store: Any = await asyncpg.connect(POSTGRES, command_timeout=1_800)
        words = Words("postgres")
        await store.execute("SET session_replication_role = replica")  # a run and its state name each other
        known = "SELECT column_name FROM information_schema.columns WHERE table_name = $1 AND is_generated = 'NEVER'"
        for of in statements:
            columns = [row[0] for row in await store.fetch(known, of[0])]
            await store.execute(inserted(words, columns, of))
        await store.execute("ANALYZE")
        await store.close()

    asyncio.run(copy())


def main() -> None:
    if sys.argv[1] == "prepare":
        site = Prefect()
        with Plant() as running:
            desk.until_ready(site, site.start(running))
        report()
    else:
        desk.main(Prefect())


if __name__ == "__main__":
    main()
