"""Runs over the API: listed in any order, run again, answered, looked through, and many at once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.projects import inside

from penstock.app import Penstock
from penstock.authoring.loading import load_flow
from penstock.control import artifacts as content
from penstock.control import runs as service
from penstock.control.access import User, current_user
from penstock.control.app import create_app
from penstock.core.events import Append, Record, RunCompleted, RunFailed, RunStarted, now_us
from penstock.core.ids import derived_run_id
from penstock.core.model import Artifact, LogLine, Run, RunFilter
from penstock.core.plans import RunsPurged
from penstock.orchestrator.deployments import declare, trigger
from penstock.orchestrator.retention import STREAM
from penstock.testing.journal_search import born
from penstock.testing.samples import created, task_completed

with warnings.catch_warnings():  # it would rather have another client
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

FLOWS = """
from dataclasses import dataclass
from penstock import flow, get_run_logger, task, wait_for_input
from penstock.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

@dataclass
class Order:
    rows: int
    why: str = "because"

@task
def count(limit):
    get_run_logger().info("counting to %d", limit)
    get_run_logger().warning("slow")
    return limit

@flow
def counting(limit: int = 3, fail: bool = False):
    count(limit)
    create_markdown_artifact("# <script>alert(1)</script>", key="told")
    create_table_artifact([{"a<b": "<i>", "n": 1}], key="rows")
    create_link_artifact("https://example.com/?q=<>", "a ](javascript:x) b")
    if fail:
        raise ValueError("as asked")
    return limit

@flow
def asking():
    return wait_for_input(Order, key="order", prompt="How many?").rows
"""
SECOND = 1_000_000
BEGIN = 1_700_000_000 * SECOND


@pytest.fixture
def penstock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Penstock]:
    with inside(tmp_path, monkeypatch, "run_flows", FLOWS, workflows=False) as found:
        yield found


@pytest.fixture
def app(penstock: Penstock) -> Iterator[Any]:
    made = create_app(penstock)
    yield made
    made.state.control.jobs.close()


@pytest.fixture
def api(app: Any) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1:4300/api/v1", raise_server_exceptions=False) as client:
        yield client


def run_flow(penstock: Penstock, name: str = "counting", **parameters: Any) -> Run:
    """A run of a flow, called here."""
    load_flow(f"run_flows.py:{name}")(**parameters, return_state=True)
    return penstock.journal.runs(RunFilter(limit=1))[0]


def timed(penstock: Penstock, number: int, name: str, start: int | None, end: int | None, **more: Any) -> str:
    """A run with times of its own."""
    journal = penstock.journal
    run_id = born(journal, BEGIN + number * SECOND, name=name, **more)
    if start is not None:
        journal.append(run_id, 2, [Record(RunStarted(at=start, owner="x|1|2|3", lease_until=0, attempt=2))])
        if end is not None:
            journal.append(run_id, 3, [Record(RunCompleted(at=end))])
    return run_id


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["items"]]


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    return body


def test_runs_in_another_order(api: TestClient, penstock: Penstock) -> None:
    a = timed(penstock, 1, "a", 100, 900)
    b = timed(penstock, 2, "b", 300, 400)
    c = timed(penstock, 3, "c", 200, 800)
    assert ids(api.get("/runs?sort=-created")) == ids(api.get("/runs")) == [c, b, a]
    assert ids(api.get("/runs?sort=created")) == ids(api.get("/runs?sort=name")) == [a, b, c]
    assert ids(api.get("/runs?sort=-name")) == [c, b, a]
    began = {run.id: run.started_at or 0 for run in penstock.journal.runs_of([a, b, c])}
    assert ids(api.get("/runs?sort=started")) == sorted(began, key=began.__getitem__)
    took = {run.id: (run.ended_at or 0) - began[run.id] for run in penstock.journal.runs_of([a, b, c])}
    assert ids(api.get("/runs?sort=-duration")) == sorted(took, key=took.__getitem__, reverse=True)
    open_ = born(penstock.journal, BEGIN, name="open")
    for sort in ("duration", "-duration"):
        assert ids(api.get(f"/runs?sort={sort}"))[-1] == open_, "what has no duration comes last, both ways"
    page = api.get("/runs?skip=1&limit=2").json()
    assert ([each["id"] for each in page["items"]], page["total"], page["skip"]) == ([b, a], 4, 1)
    assert page["complete"] is True
    assert ids(api.get("/runs", params={"cursor": page["next"]})) == [open_]
    assert api.get("/runs?skip=4").json() == {
        "items": [], "limit": 50, "next": None, "skip": 4, "total": 4, "complete": True
    }  # fmt: skip
    assert api.get("/runs").json()["total"] is None
    assert problem(api.get(f"/runs?skip=1&cursor={a}"), 422)["errors"][0]["field"] == "query.cursor"
    for wrong in ("sort=id", "skip=-1", "skip=10001", "limit=0"):
        assert problem(api.get(f"/runs?{wrong}"), 422)["errors"][0]["field"] == f"query.{wrong.partition('=')[0]}"


def test_only_so_many_are_sorted_and_counted(
    api: TestClient, penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [timed(penstock, number, f"r{9 - number}", None, None) for number in range(6)]
    monkeypatch.setattr(service, "MOST_COUNTED", 4)
    page = api.get("/runs?sort=name").json()
    assert [each["id"] for each in page["items"]] == runs[:1:-1]
    assert (page["total"], page["complete"]) == (4, False)


def test_more_filters(api: TestClient, penstock: Penstock) -> None:
    mine = timed(penstock, 1, "mine", None, None, pool="gpu", queue="default", deployment="nightly")
    done = timed(penstock, 2, "done", 5, 6, pool="gpu", queue="default")
    timed(penstock, 3, "other", None, None)
    assert ids(api.get("/runs?pool=gpu")) == ids(api.get("/runs?pool=gpu&state=Running")) == [mine]
    assert ids(api.get("/runs?pool=gpu&state=Pending")) == ids(api.get("/runs?pool=none")) == []
    problem(api.get("/runs?pool=gpu&state=Completed"), 422)
    problem(api.post("/runs/delete", json={"pool": "gpu"}), 422)
    assert ids(api.get("/runs?state=Completed&state=Failed")) == [done]
    assert ids(api.get("/runs?deployment=nightly")) == ids(api.get("/runs?workflow=nightly&sort=name")) == [mine]
    problem(api.get("/runs?deployment=nightly&workflow=nightly"), 422)
    problem(api.get("/runs?" + "&".join(f"tag={number}" for number in range(51))), 422)


def test_a_run_with_very_many_steps_is_two_queries(
    api: TestClient, penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = born(penstock.journal, name="wide")
    penstock.journal.append(run_id, 2, [task_completed(number) for number in range(1000)])
    for number in range(60):
        timed(penstock, number, f"r{number}", 5, 6, tags=("x",))
    for number in range(60):
        penstock.journal.write_logs([LogLine(run_id, None, 5, 20, "here", str(number))])
    asked: list[str] = []
    journal: Any = penstock.journal
    fetch = journal._fetch

    def noted(sql: str, *values: Any) -> Any:
        asked.append(sql)
        return fetch(sql, *values)

    monkeypatch.setattr(journal, "_fetch", noted)
    most = {
        f"/runs/{run_id}": 2, "/runs?limit=500": 1, "/runs?skip=0&limit=500": 2, "/runs?sort=-duration": 2,
        f"/runs/{run_id}/logs": 2, f"/runs/{run_id}/artifacts": 2, f"/runs/{run_id}/waiting": 1, "/flows": 5,
        "/summary": 12, "/events?limit=500": 3, "/events?type=Task*&limit=500": 3, "/jobs": 2, "/runs/cleanup": 2,
    }  # fmt: skip
    for path, number in most.items():
        asked.clear()
        assert api.get(path).status_code == 200
        assert len(asked) <= number, f"{path}: {asked}"
    found = api.get(f"/runs/{run_id}").json()
    assert len(found["task_runs"]) == 1000
    assert found["timings"]["steps"] == {"Completed": 1000}
    assert found["timings"]["waited_seconds"] >= 0
    assert len(found["timings"]["slowest"]) == 10


def test_a_run_is_retried_from_the_beginning(api: TestClient, penstock: Penstock) -> None:
    run = run_flow(penstock, limit=5, fail=True)
    assert run.state == "Failed"
    answer = api.post(f"/runs/{run.id}/retry")
    assert answer.status_code == 201
    again = answer.json()
    assert (again["state"], again["parameters"], again["origin"]) == ("Scheduled", {"limit": 5, "fail": True}, "retry")
    assert again["origin_id"] == run.id
    assert answer.headers["location"] == f"/api/v1/runs/{again['id']}"
    penstock.resume(again["id"], return_state=True)
    lines = [line.message for line in penstock.journal.logs(again["id"])]
    assert "counting to 5" in lines, "its steps are executed anew"
    assert api.get(f"/runs/{again['id']}").json()["state"] == "Failed"
    open_ = born(penstock.journal, name="open")
    problem(api.post(f"/runs/{open_}/retry"), 409)
    problem(api.post("/runs/none/retry"), 404)


@pytest.mark.parametrize("what", ["retry", "resume", "fork"])
def test_one_key_makes_one_run(api: TestClient, penstock: Penstock, what: str) -> None:
    run = run_flow(penstock, fail=True)
    body = {"from_step": "count"} if what == "fork" else None
    made: list[str] = []

    def ask() -> None:
        answer = api.post(f"/runs/{run.id}/{what}", json=body, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["id"])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    ask()
    assert len(made) == 7
    assert len(set(made)) == 1
    other = api.post(f"/runs/{run.id}/{what}", json=body, headers={"Idempotency-Key": "l"}).json()["id"]
    assert other not in made
    assert set(ids(api.get("/runs"))) == {run.id, made[0], other}
    penstock.journal.delete([made[0]])
    problem(api.post(f"/runs/{run.id}/{what}", json=body, headers={"Idempotency-Key": "a/b"}), 400)


def test_a_question_is_told_and_answered(api: TestClient, penstock: Penstock) -> None:
    from penstock.core.deployments import Deployment

    declare(penstock.journal, Deployment(name="ask", flow="asking", entrypoint="run_flows.py:asking"))
    run = trigger(penstock.journal, "ask")
    thread = threading.Thread(target=lambda: _resumed(penstock, run.id), daemon=True)
    thread.start()
    questions: list[dict[str, Any]] = []
    for _ in range(2000):
        questions = api.get(f"/runs/{run.id}/waiting").json()
        if questions:
            break
        thread.join(0.01)
    (question,) = questions
    assert (question["kind"], question["prompt"]) == ("input", "How many?")
    assert question["schema"]["$defs"]["Order"]["properties"]["rows"]["type"] == "integer"
    told = problem(api.post(f"/runs/{run.id}/answer", json={"value": {"rows": "many"}}), 422)
    assert "rows" in told["errors"][0]["field"]
    problem(api.post(f"/runs/{run.id}/answer", json={"value": {"rows": 1}, "step": "none"}), 409)
    problem(api.post(f"/runs/{run.id}/answer", json={"x": 1}), 422)
    assert api.post(f"/runs/{run.id}/answer", json={"value": {"rows": 7}}).status_code == 200
    thread.join(30)
    assert not thread.is_alive()
    found = penstock.journal.run(run.id)
    assert found is not None
    assert found.state == "Completed"
    problem(api.post(f"/runs/{run.id}/answer", json={"value": {"rows": 7}}), 409)
    assert api.get(f"/runs/{run.id}/waiting").json() == []


def _resumed(penstock: Penstock, run_id: str) -> None:
    with penstock.activate():
        penstock.resume(run_id, return_state=True)


def test_log_lines_by_step_level_and_text(api: TestClient, penstock: Penstock) -> None:
    run = run_flow(penstock)
    address = f"/runs/{run.id}/logs"

    def found(query: str) -> list[str]:
        return [each["message"] for each in api.get(f"{address}?{query}").json()["items"]]

    assert found("text=COUNTING") == ["counting to 3"]
    assert found("level=WARNING") == ["slow"]
    assert found("step=count%231") == ["counting to 3", "slow"]
    assert found("level=ERROR") == found("text=nothing") == found("step=none") == []
    problem(api.get(f"{address}?level=LOUD"), 422)
    lines = [LogLine(run.id, None, 5, 20 + 10 * (n % 2), "here", f"n{n}") for n in range(90)]
    penstock.journal.write_logs(lines)
    heard = list[str]()
    cursor: str | None = "0"
    while cursor is not None:
        part = api.get(address, params={"level": "WARNING", "text": "n", "limit": 7, "cursor": cursor}).json()
        assert len(part["items"]) <= 7
        heard += [each["message"] for each in part["items"]]
        cursor = part["next"]
    assert heard == [line.message for line in lines[1::2]]


def test_artifacts_with_their_content(api: TestClient, penstock: Penstock) -> None:
    run = run_flow(penstock)
    listed = api.get(f"/runs/{run.id}/artifacts").json()["items"]
    address = {each["key"] or each["type"]: f"/runs/{run.id}/artifacts/{each['id']}" for each in listed}
    assert api.get(address["rows"]).json()["data"] == [{"a<b": "<i>", "n": 1}]
    assert api.get(address["told"]).json()["data"] == "# <script>alert(1)</script>"
    text = api.get(address["told"] + "?format=text")
    assert (text.text, text.headers["content-type"]) == ("# <script>alert(1)</script>", "text/plain; charset=utf-8")
    for name in address:
        page = api.get(address[name] + "?format=html")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "<script" not in page.text
        assert "<i>" not in page.text
        assert 'href="javascript' not in page.text
    assert '<a href="https://example.com/?q=%3C%3E">' in api.get(address["link"] + "?format=html").text
    assert "<th>a&lt;b</th>" in api.get(address["rows"] + "?format=html").text
    problem(api.get(f"/runs/{run.id}/artifacts/none"), 404)
    other = born(penstock.journal, name="other")
    problem(api.get(address["told"].replace(run.id, other)), 404)
    problem(api.get(address["told"] + "?format=pdf"), 422)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("markdown", '"[x](javascript:alert(1)) <img src=x onerror=alert(1)>"'),
        ("link", '"[a](vbscript:x)"'),
        ("image", '"javascript:alert(1)"'),
        ("image", '"https://x/\\" onerror=\\"alert(1)"'),
        ("table", '{"<script>": ["<script>", null]}'),
        ("table", '[["<script>"], [1, 2]]'),
        ("progress", "55.5"),
        ("own <b>", '{"<script>": 1}'),
        ("data", ""),
    ],
    ids=range(9),
)
def test_pages_of_artifacts_do_nothing(kind: str, data: str) -> None:
    found = Artifact(id="1", kind=kind, run_id="r", at=1, key='"><script>', data=data.encode())
    page = content.as_page(found)
    assert "<script" not in page
    assert "<img src=x" not in page
    assert 'href="javascript' not in page
    assert 'href="vbscript' not in page
    assert 'src="javascript' not in page
    assert '" onerror' not in page


def test_many_runs_are_cancelled_and_deleted_in_the_background(api: TestClient, penstock: Penstock) -> None:
    due = [derived_run_id(BEGIN // 1000 + n, f"due{n}") for n in range(450)]
    for run_id in due:
        penstock.journal.append(run_id, 0, [created(tags=("x",), pool="p", queue="default", due_at=1)])
    done = timed(penstock, 500, "done", 5, 6, tags=("x",))
    other = timed(penstock, 501, "other", None, None)
    assert api.post("/runs/cancel", json={"tags": ["x"], "dry_run": True}).json() == {"count": 450, "complete": True}
    begun = api.post("/runs/cancel", json={"tags": ["x"], "reason": "wrong day", "grace_seconds": 0})
    assert begun.status_code == 202
    job = _ended(api, begun)
    assert (job["state"], job["kind"], job["done"], job["total"], job["by"]) == (
        "Completed", "cancel", 450, 450, "local"
    )  # fmt: skip
    assert {run.state for run in penstock.journal.runs_of(due)} == {"Cancelled"}
    assert {run.message for run in penstock.journal.runs_of(due)} == {"wrong day"}
    found = penstock.journal.run(other)
    assert found is not None
    assert found.state == "Running"
    job = _ended(api, api.post("/runs/delete", json={"ids": [due[0], other, "none", done]}))
    assert (job["done"], job["skipped"]) == (2, {"has not ended": 1})
    job = _ended(api, api.post("/runs/delete", json={"states": ["Cancelled"]}))
    assert job["done"] == 449
    assert ids(api.get("/runs")) == [other]
    assert [each["kind"] for each in api.get("/jobs").json()] == ["delete", "delete", "cancel"]


def _ended(api: TestClient, begun: Any) -> dict[str, Any]:
    assert begun.status_code == 202, begun.text
    address = begun.headers["location"].removeprefix("/api/v1")
    waiting = threading.Event()
    for _ in range(3000):
        job: dict[str, Any] = api.get(address).json()
        if job["state"] != "Running":
            return job
        waiting.wait(0.01)
    raise AssertionError(f"It goes on and on: {job}")


@pytest.mark.parametrize("path", ["/runs/cancel", "/runs/delete"])
def test_nothing_is_done_to_all_runs_by_mistake(api: TestClient, penstock: Penstock, path: str) -> None:
    run_id = timed(penstock, 1, "a", 5, 6)
    body: dict[str, Any]
    for body in ({}, {"states": []}, {"text": "  "}, {"tags": []}):
        assert problem(api.post(path, json=body), 422)["errors"][0]["field"] == "all"
    wrong: dict[str, Any]
    for wrong in (
        {"ids": [run_id], "flow": "x"}, {"states": ["Done"]}, {"since": "2026-01-01T00:00:00"}, {"ids": "x"},
        {"all": 1}, {"al": True}, {"states": ["Running" if path == "/runs/delete" else "Failed"]},
    ):  # fmt: skip
        problem(api.post(path, json=wrong), 422)
    assert ids(api.get("/runs")) == [run_id]
    assert api.get("/jobs").json() == []


def test_old_runs_leave_by_request_and_the_count_is_told(api: TestClient, penstock: Penstock) -> None:
    runs = [timed(penstock, number, f"r{number}", BEGIN, BEGIN + 5) for number in range(30)]
    fresh = born(penstock.journal, now_us(), name="fresh")
    penstock.journal.append(fresh, 2, [Record(RunFailed(at=now_us()))])
    job = _ended(api, api.post("/runs/cleanup", json={"older_than": "1d", "dry_run": True}))
    assert (job["state"], job["done"], job["dry_run"]) == ("Completed", 30, True)
    assert len(ids(api.get("/runs"))) == 31
    job = _ended(api, api.post("/runs/cleanup", json={"older_than": "1d"}))
    assert (job["done"], job["result"]["flows"]) == (30, {"shop": {"Completed": 30}})
    assert ids(api.get("/runs")) == [fresh]
    job = _ended(api, api.post("/runs/cleanup", json={"older_than": "0s"}))
    assert (job["state"], job["done"], job["skipped"]) == ("Completed", 0, {"it is the newest run of its flow": 1})
    told = api.get("/runs/cleanup").json()
    assert sum(each["runs"] for each in told["items"]) == len(runs)
    assert all(each["asked"] for each in told["items"])
    seq = penstock.journal.last_seq(STREAM)
    own = Record(RunsPurged(at=now_us(), runs=4, before=1, flows={"shop": {"Failed": 4}}))
    penstock.journal.commit([Append(STREAM, seq, [own])])
    first = api.get("/runs/cleanup").json()["items"][0]
    assert (first["runs"], first["asked"], first["flows"]) == (4, False, {"shop": {"Failed": 4}})
    for wrong in ({"older_than": "x"}, {"older_than": "-1d"}, {"older_than": "9999999d"}, {"states": ["Running"]}):
        problem(api.post("/runs/cleanup", json=wrong), 422)


def test_a_job_is_gone_on_with_where_its_server_is_gone(api: TestClient, app: Any, penstock: Penstock) -> None:
    run_id = timed(penstock, 1, "a", 5, 6)
    jobs = app.state.control.jobs
    jobs._stopping.set()  # as if it had died right after its answer
    begun = api.post("/runs/delete", json={"ids": [run_id]})
    assert begun.status_code == 202
    assert api.get("/jobs").json()[0]["state"] == "Running"
    other = create_app(penstock)
    with TestClient(other, base_url="http://127.0.0.1:4300/api/v1") as client:
        other.state.control.jobs.go_on()
        job = _ended(client, begun)
    assert (job["state"], job["done"]) == ("Completed", 1)
    other.state.control.jobs.close()
    assert penstock.journal.run(run_id) is None


def test_a_job_that_fails_says_so(
    api: TestClient, penstock: Penstock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = timed(penstock, 1, "a", 5, 6)

    def broken(*args: Any) -> Any:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("penstock.engine.recovery.delete", broken)
    job = _ended(api, api.post("/runs/delete", json={"ids": [run_id]}))
    assert (job["state"], job["error"]) == ("Failed", "RuntimeError")


def test_what_bears_no_tag_of_a_users_is_not_there(api: TestClient, app: Any, penstock: Penstock) -> None:
    mine = timed(penstock, 1, "mine", 5, 6, tags=("etl", "x"))
    others = timed(penstock, 2, "others", 5, 6, tags=("y",))
    bare = timed(penstock, 3, "bare", 5, 6)
    app.dependency_overrides[current_user] = lambda: User("ann", "editor", ("etl",))
    assert ids(api.get("/runs")) == ids(api.get("/runs?sort=name")) == ids(api.get("/runs?tag=x")) == [mine]
    assert api.get("/runs?skip=0").json()["total"] == 1
    for run_id in (others, bare):
        for path in ("", "/logs", "/artifacts", "/artifacts/x", "/waiting", "/stream"):
            problem(api.get(f"/runs/{run_id}{path}"), 404)
        for path in ("/cancel", "/resume", "/retry", "/answer"):
            problem(api.post(f"/runs/{run_id}{path}"), 404)
        problem(api.post(f"/runs/{run_id}/fork", json={"from_step": "x"}), 404)
        problem(api.delete(f"/runs/{run_id}"), 404)
    assert {each["run"]["id"] for each in api.get("/events").json()["items"]} == {mine}
    theirs = next(each for each in penstock.journal.read(0) if each.stream == others)
    problem(api.get(f"/events/{theirs.position}"), 404)
    problem(api.post("/events", json={"name": "a.b"}), 403)
    problem(api.post("/runs/cleanup"), 403)
    assert [each["flow"] for each in api.get("/flows").json()] == ["shop"]
    assert api.get("/flows").json()[0]["runs"] == 1
    assert api.get("/summary?hours=8784").json()["runs"]["Completed"] == 0, "they were made long ago"
    job = _ended(api, api.post("/runs/delete", json={"ids": [mine, others]}))
    assert job["done"] == 1
    job = _ended(api, api.post("/runs/delete", json={"all": True}))
    assert job["done"] == 0
    app.dependency_overrides[current_user] = lambda: User("bob", "viewer", ("y",))
    assert api.get("/jobs").json() == []
    problem(api.get(f"/jobs/{job['id']}"), 404)
    problem(api.post("/runs/delete", json={"all": True}), 403)
    app.dependency_overrides.clear()
    assert ids(api.get("/runs")) == [bare, others]


def test_a_summary(api: TestClient, penstock: Penstock) -> None:
    timed(penstock, 1, "a", 5, 6)
    now = born(penstock.journal, now_us(), name="b")
    found = api.get("/summary").json()
    assert found["runs"]["Running"] == 1
    assert found["runs"]["Completed"] == 0, "it was made years ago"
    penstock.journal.append(now, 2, [Record(RunCompleted(at=now_us()))])
    assert api.get("/summary").json()["runs"]["Completed"] == 1
    (flow,) = api.get("/flows").json()
    assert (flow["flow"], flow["runs"], flow["last_run_id"]) == ("shop", 2, now)
    problem(api.get("/summary?hours=0"), 422)


def test_events_are_listed_got_and_emitted(api: TestClient, penstock: Penstock) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"name": "orders.imported", "about": "orders", "facts": {"rows": 12, "why": "Über"}}
    made = api.post("/events", json=body, headers=headers)
    assert made.status_code == 201
    assert made.json()["facts"] == body["facts"]
    assert api.post("/events", json=body, headers=headers).json() == made.json()
    problem(api.post("/events", json={**body, "facts": {}}, headers=headers), 422)
    for n in range(25):
        api.post("/events", json={"name": f"n{n % 5}.x", "about": str(n)})
    (found,) = api.get("/events?type=orders.*").json()["items"]
    assert (found["event"], found["about"]) == ("orders.imported", "orders")
    assert api.get(f"/events/{found['position']}").json() == found
    (audited,) = penstock.journal.read_back(None, 1)
    assert audited.stream == "audit/log"
    problem(api.get(f"/events/{audited.position}"), 404)
    assert "Audited" not in {each["event"] for each in api.get("/events?type=*&type=Audited").json()["items"]}
    assert [each["about"] for each in api.get("/events?text=über").json()["items"]] == ["orders"]
    heard = list[str]()
    cursor: str | None = None
    while True:
        part = api.get("/events", params={"type": "n2.x", "limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        heard += [each["about"] for each in part["items"]]
        cursor = part["next"]
        if cursor is None:
            break
    assert heard == ["22", "17", "12", "7", "2"]
    assert api.get("/events?until=2020-01-01T00:00:00Z").json()["items"] == []
    for wrong in ("limit=0", "cursor=x", "since=2020-01-01T00:00:00", f"cursor={2**63}"):
        problem(api.get(f"/events?{wrong}"), 422)
    problem(api.get(f"/events/{10**9}"), 404)
    bad: dict[str, Any]
    for bad in ({"name": ""}, {"name": "RunFailed"}, {"name": "a", "facts": []}, {"facts": {}}):
        problem(api.post("/events", json=bad), 422)
    problem(api.post("/events", json={"name": "big.one", "facts": {"x": "y" * 70_000}}), 422)
