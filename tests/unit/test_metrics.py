"""Metrics of what a journal records: each event once, by whatever process, and as Prometheus reads them."""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from penstock.app import Penstock, Settings
from penstock.control.access import User, current_user
from penstock.control.app import create_app
from penstock.core.clock import now_us
from penstock.core.datasets import DatasetWritten
from penstock.core.errors import JournalError
from penstock.core.events import (
    Event,
    Record,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunStarted,
    Saved,
    Step,
    TaskCompleted,
    TaskFailed,
)
from penstock.core.model import Worker
from penstock.core.plans import ActionEnded, AutomationFired, Happened
from penstock.core.ports import Journal
from penstock.core.webhooks import WebhookReceived
from penstock.journal import MemoryJournal, SqliteJournal
from penstock.observability import recorded
from penstock.observability.gauges import Gauges
from penstock.observability.metrics import Registry
from penstock.observability.recorded import BOOKMARK, Recorded

with warnings.catch_warnings():  # it would rather have another client
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
SECOND = 1_000_000


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample, as another program reads it."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float | None:
    return samples(text).get((name, tuple(sorted(labels.items()))))


def run(journal: Journal, run_id: str, flow: str = "load", seconds: float | None = 2.0, failed: bool = False) -> None:
    """One run, that ended unless it has no seconds."""
    created = RunCreated(at=SECOND, flow=flow, name=run_id, parameters=Saved("json", 2), cause="api")
    journal.append(
        run_id, 0, [Record(created, b"{}"), Record(RunStarted(at=SECOND, owner="me/1", lease_until=1 << 60))]
    )
    if seconds is not None:
        end = int((1 + seconds) * SECOND)
        journal.append(run_id, 2, [Record(RunFailed(at=end) if failed else RunCompleted(at=end))])


def tell(journal: Journal, stream: str, *events: Event) -> None:
    journal.append(stream, journal.last_seq(stream), [Record(event) for event in events])


@pytest.fixture
def journal() -> Iterator[Journal]:
    found = MemoryJournal()
    yield found
    found.close()


def test_what_happened_is_added_up(journal: Journal) -> None:
    metrics = Recorded(journal)
    metrics.text()
    run(journal, "r1")
    run(journal, "r2", failed=True, seconds=400.0)
    run(journal, "r3", "other", seconds=None)
    step = Step(key="fetch#1", name="fetch-1", task="fetch", ordinal=1)
    tell(journal, "r3", TaskCompleted(at=3 * SECOND, step=step, started=2 * SECOND), TaskFailed(at=1, step=step))
    tell(journal, "dataset/a", DatasetWritten(at=1, place="lake/a", namespace="lake", path="/a", landed=7, rejected=2))
    tell(journal, "event/webhook/1", WebhookReceived(at=1, id="d1", hook="shop", status="refused"))
    tell(journal, "automation/x", AutomationFired(at=1, name="x", id="f"))
    tell(journal, "automation/x", ActionEnded(at=1, name="x", id="f", action=0, error="it is down"))
    text = metrics.text()
    assert value(text, "penstock_runs_created_total", flow="load", cause="api") == 2
    assert value(text, "penstock_runs_ended_total", flow="load", state="Completed") == 1
    assert value(text, "penstock_runs_ended_total", flow="load", state="Failed") == 1
    assert value(text, "penstock_runs_ended_total", flow="other", state="Completed") is None
    assert value(text, "penstock_run_duration_seconds_sum", flow="load") == 402
    assert value(text, "penstock_run_duration_seconds_bucket", flow="load", le="2.5") == 1
    assert value(text, "penstock_run_duration_seconds_bucket", flow="load", le="+Inf") == 2
    assert value(text, "penstock_task_runs_ended_total", task="fetch", state="Completed") == 1
    assert value(text, "penstock_task_run_duration_seconds_sum", task="fetch") == 1
    assert value(text, "penstock_rows_written_total", dataset="lake/a") == 7
    assert value(text, "penstock_rows_rejected_total", dataset="lake/a") == 2
    assert value(text, "penstock_webhook_deliveries_total", hook="shop", status="refused") == 1
    assert value(text, "penstock_automations_fired_total", automation="x") == 1
    assert value(text, "penstock_automation_actions_total", outcome="failed") == 1
    assert value(text, "penstock_metrics_events_behind") == 0


def test_events_about_other_things_are_looked_through_once(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Recorded(journal)
    metrics.text()
    others = [Record(Happened(at=1, name="n.x", about=str(number))) for number in range(1000)]
    journal.append("event/many", 0, others)
    assert value(metrics.text(), "penstock_metrics_events_behind") == 0
    begun: list[int] = []
    read = journal.read

    def noted(after: int, *rest: Any) -> Any:
        begun.append(after)
        return read(after, *rest)

    monkeypatch.setattr(journal, "read", noted)
    metrics.text()
    Recorded(journal).text()
    assert min(begun) >= journal.head(), "neither this process nor another one reads them again"
    run(journal, "r1")
    assert value(metrics.text(), "penstock_runs_created_total", flow="load", cause="api") == 1


def test_the_first_to_ask_begins_with_what_comes_from_then_on(journal: Journal) -> None:
    run(journal, "r1")
    metrics = Recorded(journal)
    assert value(metrics.text(), "penstock_runs_created_total", flow="load", cause="api") is None
    run(journal, "r2")
    assert value(metrics.text(), "penstock_runs_created_total", flow="load", cause="api") == 1


@pytest.mark.parametrize("seed", range(4))
def test_several_who_ask_in_any_order_give_the_same_and_count_each_event_once(tmp_path: Path, seed: int) -> None:
    rnd = random.Random(seed)
    journals = [SqliteJournal(tmp_path / "journal.db") for _ in range(3)]
    asking = [Recorded(journal) for journal in journals]
    asking[0].text()
    made = 0
    for _ in range(60):
        if rnd.random() < 0.5:
            made += 1
            run(journals[0], f"r{made}", rnd.choice("abc"))
        elif rnd.random() < 0.2:
            place = rnd.randrange(3)
            asking[place] = Recorded(journals[place])  # it was restarted
        else:
            rnd.choice(asking).text()
    texts = {each.text() for each in asking}
    assert len(texts) == 1
    found = samples(texts.pop())
    assert sum(count for (name, _), count in found.items() if name == "penstock_runs_created_total") == made
    assert sum(count for (name, _), count in found.items() if name == "penstock_run_duration_seconds_count") == made
    for journal in journals:
        journal.close()


def test_what_takes_too_long_is_gone_on_with_next_time(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "_PAGE", 10)
    metrics = Recorded(journal, seconds=0)
    metrics.text()
    for number in range(20):
        run(journal, f"r{number}")
    seen = []
    for _ in range(6):
        text = metrics.text()
        seen.append(
            (
                value(text, "penstock_runs_created_total", flow="load", cause="api"),
                value(text, "penstock_metrics_events_behind"),
            )
        )
    assert (seen[0][0] or 99) < 20
    assert (seen[0][1] or 0) > 0
    assert seen[-1] == (20, 0)


def test_a_label_has_at_most_so_many_values(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "_MOST_NAMES", 3)
    Recorded(journal).text()
    for number in range(5):
        run(journal, f"r{number}", f"flow {number}")
        text = Recorded(journal).text()  # each time a new one, which knows the names from what was kept
    assert value(text, "penstock_runs_created_total", flow="(others)", cause="api") == 2
    assert value(text, "penstock_runs_ended_total", flow="flow 2", state="Completed") == 1


def test_names_that_nobody_expects_are_escaped(journal: Journal) -> None:
    metrics = Recorded(journal)
    metrics.text()
    name = 'a"b\\c\nd{e="f"} 1\u2028zoë'
    run(journal, "r1", name)
    assert value(metrics.text(), "penstock_runs_created_total", flow=name, cause="api") == 1


def test_sums_that_nobody_understands_are_told(journal: Journal) -> None:
    journal.keep_bookmark(BOOKMARK, 0, b"not json")
    with pytest.raises(JournalError, match="cannot be read"):
        Recorded(journal).text()


def test_how_things_are_now(journal: Journal) -> None:
    run(journal, "r1", seconds=None)
    run(journal, "r2")
    now = now_us()
    for number, seen in enumerate([now, now, now - 3600 * SECOND]):
        worker = Worker(
            id=f"w{number}", pool="default", queues=(), slots=4, running=1, state="online", started_at=1, seen_at=seen
        )
        journal.report_worker(worker)
    text = Gauges(journal).text()
    assert value(text, "penstock_runs", state="Running") == 1
    assert value(text, "penstock_runs", state="Completed") is None
    assert value(text, "penstock_workers", pool="default") == 2
    assert value(text, "penstock_worker_slots", pool="default") == 8
    assert value(text, "penstock_worker_busy_slots", pool="default") == 2
    assert value(text, "penstock_schedule_lag_seconds") == 0
    assert (value(text, "process_resident_memory_bytes") or 0) > 1_000_000


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    found = Penstock(Settings(home=str(tmp_path / "home"), log_console=False))
    with found.activate():
        yield create_app(found)
    found.close()


def test_prometheus_gets_them_all_and_the_page_names_each(app: Any) -> None:
    with TestClient(app, base_url="http://127.0.0.1:4300", raise_server_exceptions=False) as api:
        api.get("/api/v1/runs/none")
        answer = api.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(answer.text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    asked = {"method": "GET", "route": "/api/v1/runs/{run_id}", "status": "404"}
    assert value(answer.text, "penstock_http_request_duration_seconds_count", **asked)
    told = re.findall(r"^# TYPE (\S+) (\S+)", answer.text, re.M)
    page = dict(re.findall(r"^\| `(\w+)`[^|]*\| (\w+) \|", PAGE.read_text(), re.M))
    ours = {name: kind for name, kind in told if name.startswith(("penstock_", "process_"))}
    assert ours.items() <= page.items(), sorted(ours.keys() - page.keys())
    assert page.keys() <= ours.keys() | SOMETIMES, sorted(page.keys() - ours.keys())
    for name, kind in told:
        assert (kind == "counter") == name.endswith("_total"), name


SOMETIMES = {
    f"penstock_block_{each}" for each in ("seconds", "cpu_seconds_total", "peak_bytes", "rows_total", "failures_total")
}
"""Those of performance_monitor, which are there once it has measured something."""


def test_who_sees_only_some_runs_gets_no_metrics(app: Any) -> None:
    with TestClient(app, base_url="http://127.0.0.1:4300") as api:
        app.dependency_overrides[current_user] = lambda: User("ann", "admin", ("etl",))
        assert api.get("/metrics").status_code == 403
        app.dependency_overrides[current_user] = lambda: User("bob", "viewer")
        assert api.get("/metrics").status_code == 200


def test_a_registry_is_what_was_kept() -> None:
    def made() -> tuple[Registry, Any, Any]:
        registry = Registry()
        return registry, registry.counter("c_total", "", ("a",)), registry.histogram("h", "", ("a",), (1.0, 2.0))

    first, counter, histogram = made()
    counter.add(3, a="x")
    histogram.observe(1.5, a="y")
    histogram.observe(9, a="y")
    second, other, _ = made()
    other.add(99, a="gone")
    second.restore(first.kept())
    assert second.text() == first.text()
    third = Registry()
    third.histogram("h", "", ("a",), (1.0, 2.0, 3.0))
    third.restore(first.kept())
    assert "y" not in third.text()
