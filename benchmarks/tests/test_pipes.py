"""The topics of data: what is read, who says what is right, and what is made of the answers."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "feeds"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import changes
import judge
import rows
from feeds import api
from harness import pipes, report
from harness.budgets import BUDGETS
from harness.columns import COLUMNS
from harness.contenders import load
from harness.data_budgets import DATA as PROMISES
from harness.feeds import compare
from harness.places import Failed
from harness.texts import METHODS, THINGS, TITLES
from harness.topics import DATA, TOPICS
from made_results import result, row


def verdict(promise: str, results: dict[str, dict[str, Any]]) -> str:
    return next(budget.verdict(results)[1] for budget in BUDGETS if promise in budget.promise)


def test_every_topic_has_its_words_and_columns() -> None:
    for name in TOPICS:
        assert name in TITLES
        assert name in METHODS
        assert name in COLUMNS
    assert {topic.name for topic in DATA} <= set(THINGS)


def test_every_topic_of_data_is_measured_of_its_reference() -> None:
    contenders = {contender.name: contender for contender in load()[1]}
    for topic in DATA:
        assert topic.name in contenders[topic.reference].topics


def test_every_budget_of_data_names_who_takes_part() -> None:
    """A name that is mistyped would never be measured, and nobody would notice."""
    taking_part = {name: [one.name for one in load()[1] if name in one.topics] for name in TOPICS}
    shown = {}
    for topic in DATA:
        metrics = ("row_seconds", "change_seconds", "seconds", "p99", "peak_mb", "commit_100", "commit_10000")
        sizes = topic.sizes or ()
        numbers = dict.fromkeys(metrics, 1.0)
        made = [row(name, size, **numbers) for name in taking_part[topic.name] for size in sizes]
        shown |= result(topic.name, *made)
    of_data = [budget for budget in BUDGETS if budget.promise in {promise for promise, _, _ in PROMISES}]
    assert "CSV to Delta" in of_data[0].promise
    assert not [budget.promise for budget in of_data if budget.verdict(shown)[1] == "not measured"]


def test_the_same_orders_in_sql_and_in_python(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "orders.csv"
    facts = judge.make_csv(str(path), "1234")
    orders = [rows.order(number) for number in range(1, 1235)]
    assert facts == rows.counted(orders)
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT * FROM read_csv('{path}') ORDER BY id").fetchall()
    for values, order in zip(found, orders, strict=True):
        moment = values[6].strftime("%Y-%m-%dT%H:%M:%SZ")
        assert (*values[:6], moment, *values[7:]) == tuple(order.values())


def test_a_table_is_counted_whatever_its_columns_are_called() -> None:
    duckdb = pytest.importorskip("duckdb")
    query = "SELECT 'A' AS InvoiceNo, 2 AS quantity, 1.5 AS unit_price, NULL::INT AS \"CustomerID\", 'x' AS _dlt_id"
    with duckdb.connect() as connection:
        found = judge.in_duckdb(connection, "retail", f"({query}) AS made")
    assert found == {"rows": 1, "quantities": 2, "mills": 1500, "customers": 0, "invoices": 1}


WRONG = [{"rows": 9, "ids": 55}, {"rows": 10, "ids": 54}, {"rows": 10}]


@pytest.mark.parametrize("found", WRONG, ids=["few", "sum", "no"])
def test_a_wrong_result_is_a_failure(found: dict[str, int]) -> None:
    compare({"rows": 10, "ids": 55}, {"rows": 10, "ids": 55, "more": 1})
    with pytest.raises(Failed, match="instead of"):
        compare({"rows": 10, "ids": 55}, found)


def test_pages_are_answered_whole_however_requests_are_cut() -> None:
    class Wire:
        sent = b""

        def write(self, data: bytes) -> None:
            self.sent += data

    pages, facts = api.made(1_500)
    shop, wire = api.Shop(pages, facts), Wire()
    shop._transport = wire  # type: ignore[assignment]
    for piece in (b"GET /orders?pa", b"ge=2 HTTP/1.1\r\nHost: x\r\n\r\nGET /orders?page=3 HT", b"TP/1.1\r\n\r\n"):
        shop.data_received(piece)
    first, second = (json.loads(part.split(b"\r\n\r\n")[1]) for part in wire.sent.split(b"HTTP/1.1 200 OK")[1:])
    assert [order["id"] for order in first["data"]] == list(range(1_001, 1_501))
    assert (first["pages"], first["total"], second["data"]) == (2, 1_500, [])
    assert facts["rows"] == 1_500


def test_the_shop_makes_as_many_changes_as_it_says() -> None:
    class Cursor:
        rowcount, made = 0, 0

        def execute(self, statement: bytes, span: tuple[int, int]) -> None:
            Cursor.rowcount = span[1] - span[0] + 1
            Cursor.made += Cursor.rowcount

    for size in (changes.STREAM_EVERY, changes.BACKLOG_EVERY):
        Cursor.made, shop = 0, changes.Shop(Cursor(), size)
        for _ in range(3):
            shop.change()
        assert Cursor.made == 3 * size
    for topic in ("cdc", "cdc-lag"):
        for size in (*(TOPICS[topic].sizes or ()), *(TOPICS[topic].quick_sizes or ())):
            assert size % changes.BACKLOG_EVERY == 0


def test_the_lag_of_a_commit_is_that_of_its_last_change() -> None:
    commits = [(50, 1.0), (100, 2.0), (150, 3.0)]
    arrivals = [(60, 1.5), (90, 2.25), (100, 2.5), (150, 3.25)]
    assert pipes.lags(commits, arrivals) == [(0.5, 50), (0.5, 50), (0.25, 50)]


def test_percentiles_weigh_every_change() -> None:
    weighted = [(3.0, 1), (1.0, 98), (2.0, 1)]
    assert [pipes.percentile(weighted, rank) for rank in (50, 98, 99, 100)] == [1.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(("own", "expected"), [(1.0, "met"), (1.01, "**NOT met**")])
def test_the_fastest_of_the_others_is_the_measure(own: float, expected: str) -> None:
    made = [row("penstock-data", row_seconds=own), row("dlt", row_seconds=3.0), row("dlt-plain", row_seconds=9.0)]
    assert verdict("CSV to Delta: at least 3 times", result("csv-lake", *made)) == expected
    assert verdict("CSV to Delta: at least 3 times", result("csv-lake", made[0])) == "not measured"


@pytest.mark.parametrize(("own", "expected"), [(1.66, "met"), (1.67, "**NOT met**")])
def test_sixty_percent_of_a_bare_consumer(own: float, expected: str) -> None:
    made = [row("penstock-data", row_seconds=own), row("kafka-poll", row_seconds=1.0)]
    assert verdict("60 % of a bare consumer as it comes", result("kafka-lake", *made)) == expected


@pytest.mark.parametrize(("late", "expected"), [(1.25, "met"), (1.26, "**NOT met**")])
def test_growth_with_history_is_found(late: float, expected: str) -> None:
    made = row("penstock-history-lake", 10_000, seconds=1.0, commit_100=1.0, commit_10000=late)
    assert verdict("flat: a commit into Delta", result("history", made)) == expected


def test_the_page_shows_rates_and_what_is_done_with_changes() -> None:
    numbers = {"seconds": 1.0, "row_seconds": 2e-6, "wall_seconds": 2.0, "peak_mb": 100.0}
    page = report.render(result("csv-lake", row("penstock-data", 500_000, **numbers)))
    assert "| **Penstock-Data** | 500,000 | 500,000 |" in page
    log = {**row("debezium", 100, seconds=1.0, change_seconds=1e-4, peak_mb=1.0), "remark": "counts them"}
    assert "| counts them |" in report.render(result("cdc", log))
