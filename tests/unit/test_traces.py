"""Spans over OTLP: as a collector gets them, each run once, and nothing lost while the collector is away."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api_server import Api, Reply, Request, api

from penstock import flow, task
from penstock.app import Penstock, Settings
from penstock.control.app import create_app
from penstock.core.errors import ConfigurationError
from penstock.core.events import Record
from penstock.core.model import RunFilter
from penstock.core.plans import Happened
from penstock.observability.traces import BOOKMARK, Endpoint, Tracer, endpoint_of, parent_in, span_of, trace_of
from penstock.orchestrator.emitting import emit

with warnings.catch_warnings():  # it would rather have another client
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient


@pytest.fixture
def collector() -> Iterator[tuple[Api, list[dict[str, Any]], list[int]]]:
    """A collector: where it is, the spans that it has, and answers that it gives before it is well."""
    spans: list[dict[str, Any]] = []
    answers: list[int] = []

    def site(request: Request) -> Reply:
        if answers:
            return Reply(status=answers.pop(0))
        assert request.path == "/v1/traces"
        assert request.headers["content-type"] == "application/json"
        for resource in request.json["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                spans.extend(scope["spans"])
        return Reply({})

    with api(site) as found:
        yield found, spans, answers


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    found = Penstock(Settings(home=str(tmp_path), log_console=False))
    with found.activate():
        yield found
    found.close()


def tracer_to(app: Penstock, where: Api) -> Tracer:
    return Tracer(app.journal, Endpoint(f"{where.url}/v1/traces", {"x-key": "abc"}, "shop"))


def facts(span: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


@task
def fetch() -> int:
    return 1


@task
def broken() -> None:
    raise ValueError("it broke")


@flow
def inner() -> int:
    return fetch()


@flow
def outer() -> None:
    inner()
    fetch()
    broken()


def test_spans_are_below_each_other_as_runs_are(app: Penstock, collector: Any) -> None:
    where, spans, _ = collector
    tracer = tracer_to(app, where)
    tracer.turn()
    assert spans == []
    assert outer(return_state=True).is_failed()
    tracer.turn()
    runs = _runs(app)
    root = next(span for span in spans if span["name"] == "outer")
    assert root["traceId"] == trace_of(runs["outer"].id)
    assert "parentSpanId" not in root
    assert root["status"]["code"] == 2
    assert {span["traceId"] for span in spans} == {root["traceId"]}
    by_id = {span["spanId"]: span for span in spans}
    assert len(by_id) == len(spans) == 6  # two flows, the step that calls one of them, three tasks
    parents = {(span["name"], by_id[span["parentSpanId"]]["name"]) for span in spans if "parentSpanId" in span}
    assert parents == {
        ("inner", "outer"),
        ("inner", "inner"),
        ("fetch", "inner"),
        ("fetch", "outer"),
        ("broken", "outer"),
    }
    for span in spans:
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        assert facts(span)["penstock.run_id"] in {run.id for run in runs.values()}
    assert where.asked[-1].headers["x-key"] == "abc"
    count = len(spans)
    tracer.turn()
    tracer_to(app, where)._send_runs()
    assert len(spans) == count  # each once


def _runs(app: Penstock) -> dict[str, Any]:
    return {run.flow: run for run in app.journal.runs(RunFilter(children=True))}


def test_what_cannot_be_sent_is_sent_later(app: Penstock, collector: Any, caplog: pytest.LogCaptureFixture) -> None:
    where, spans, answers = collector
    tracer = tracer_to(app, where)
    tracer.turn()
    inner()
    tracer.request("GET /x", {"http.status": 200}, 0.1, "", None)
    answers += [503, 503]
    tracer.turn()
    tracer.turn()
    assert spans == []
    assert len([each for each in caplog.records if each.name == "penstock.traces"]) == 1
    tracer.turn()
    assert sorted(span["name"] for span in spans) == ["GET /x", "fetch", "inner"]


def test_one_of_several_servers_sends(app: Penstock, collector: Any) -> None:
    where, spans, _ = collector
    first, second = tracer_to(app, where), tracer_to(app, where)
    second._owner = "another/1"
    first.turn()
    inner()
    second.turn()
    assert spans == []
    first.turn()
    assert len(spans) == 2


def test_a_request_is_a_span_that_names_the_run_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collector: Any
) -> None:
    where, spans, _ = collector
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where.url + "/")
    app = Penstock(Settings(home=str(tmp_path), log_console=False))
    with app.activate():
        made = create_app(app)
        run = inner(return_state=True) and next(iter(_runs(app).values()))
        parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
        with TestClient(made, base_url="http://127.0.0.1:4300") as client:
            client.get(f"/api/v1/runs/{run.id}?secret=1", headers={"traceparent": parent, "X-Request-ID": "r-1"})
        made.state.control.tracer.turn()
    app.close()
    span = next(each for each in spans if each["kind"] == 2)
    assert span["name"] == "GET /api/v1/runs/{run_id}"
    assert (span["traceId"], span["parentSpanId"]) == ("a" * 32, "b" * 16)
    assert facts(span)["penstock.request_id"] == "r-1"
    assert "secret" not in str(span)


def test_a_run_that_a_request_made_is_linked(app: Penstock, collector: Any) -> None:
    where, spans, _ = collector
    tracer = tracer_to(app, where)
    run_id = "0199aaaa-bbbb-7ccc-8ddd-000000000000"
    tracer.request("POST /x", {"http.status": 201}, 0.1, "", run_id)
    tracer.turn()
    assert spans[0]["links"] == [{"traceId": run_id.replace("-", ""), "spanId": span_of(run_id)}]


@pytest.mark.parametrize(
    "text",
    ["", "00", "x" * 55, "00-" + "0" * 32 + "-" + "b" * 16 + "-01", "00-" + "A" * 32 + "-" + "b" * 16 + "-01"],
    ids=["none", "short", "long", "zero", "large"],
)
def test_a_trace_that_is_none_is_passed_over(text: str) -> None:
    assert parent_in(text) == (None, None)


def test_where_spans_go() -> None:
    assert endpoint_of({}) is None
    assert endpoint_of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_SDK_DISABLED": "true"}) is None
    found = endpoint_of(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1/",
            "OTEL_EXPORTER_OTLP_HEADERS": "a=b%20c, d=e",
            "OTEL_SERVICE_NAME": "s",
        }
    )
    assert found == Endpoint("http://a:1/v1/traces", {"a": "b c", "d": "e"}, "s")
    with pytest.raises(ConfigurationError, match="over HTTP"):
        endpoint_of({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "grpc://a:1"})


def test_nothing_is_there_where_nobody_wants_it(app: Penstock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert create_app(app).state.control.tracer is None
    assert app.journal.bookmark(BOOKMARK) is None


def test_events_about_other_things_are_looked_through_once(app: Penstock, collector: Any) -> None:
    where, spans, _ = collector
    tracer = tracer_to(app, where)
    tracer.turn()
    begun = _mark(app)
    for number in range(30):
        emit(app.journal, "n.x", str(number))
    tracer.turn()
    assert _mark(app) == begun, "a few are cheaper to read again than a place is to keep"
    emit_many(app, 1000)
    tracer.turn()
    assert _mark(app) == app.journal.head()
    outer(return_state=True)
    for number in range(5):
        emit(app.journal, "n.x", str(number))
    tracer.turn()
    assert len(spans) == 6
    assert _mark(app) == app.journal.head()


def _mark(app: Penstock) -> int:
    found = app.journal.bookmark(BOOKMARK)
    assert found is not None
    return int(found.data)


def emit_many(app: Penstock, count: int) -> None:
    """Events that no span is made of."""
    records = [Record(Happened(at=1, name="n.x", about=str(number))) for number in range(count)]
    app.journal.append("event/many", 0, records)
