"""What SQL models do in every warehouse. A class provides `self.warehouse`."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.warehouses import exists

from penstock import Penstock, flow
from penstock.core.errors import ParameterError, SchemaRefused
from penstock.stores.elt import Materialized, ModelFailed, sql_task
from penstock.stores.warehouse import Warehouse

HOSTILE = ["'; DROP TABLE raw_data.orders; --", "{{ this }}", "$1", "", "O'Neil \\", "\u202e", "x" * 10_000]


class Making:
    """Orders in the warehouse, and files with queries over them."""

    warehouse: Warehouse

    @pytest.fixture(autouse=True)
    def orders(self, system: None, tmp_path: Path) -> None:
        self.folder = tmp_path / "sql"
        self.folder.mkdir()
        self.warehouse.execute("CREATE SCHEMA raw_data")
        self.warehouse.execute(
            "CREATE TABLE raw_data.orders (id integer, day date, customer varchar(99), total decimal(10, 2))"
        )
        self.order(1, "2026-01-01", "Ada", 20)
        self.order(2, "2026-01-01", "Bob", 35)
        self.order(3, "2026-01-02", "Ada", 50)

    def order(self, number: int, day: str, customer: str, total: float) -> None:
        values = [number, datetime.date.fromisoformat(day), customer, Decimal(str(total))]
        self.warehouse.execute("INSERT INTO raw_data.orders VALUES ($1, $2, $3, $4)", values)

    def task(self, text: str, name: str = "model", **options: Any) -> Any:
        file = self.folder / f"{name}.sql"
        file.write_text(text, encoding="utf-8")
        inputs = {"orders": "raw_data.orders"} if 'ref("orders")' in text else {}
        return sql_task(file, warehouse=self.warehouse, inputs=inputs, **options)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.warehouse.read(sql, values).to_pylist()]


DAILY = """\
{{ config(materialized="table") }}
SELECT day, count(*) AS orders, sum(total) AS revenue
FROM {{ ref("orders") }}
GROUP BY day
"""
ADDED = """\
{{ config(materialized="incremental", unique_key="day") }}
SELECT day, count(*) AS orders
FROM {{ ref("orders") }}
{% if is_incremental() %}
WHERE day >= (SELECT max(day) FROM {{ this }})
{% endif %}
GROUP BY day
"""
LOG = """\
{{ config(materialized="incremental") }}
SELECT id, customer FROM {{ ref("orders") }}
{% if is_incremental() %} WHERE id > {{ param("after", 0) }} {% endif %}
"""


class ModelDuties(Making):
    def test_a_table(self) -> None:
        made = self.task(DAILY)()
        assert isinstance(made, Materialized)
        assert (made.table, made.kind, made.rows) == ("analytics.model", "table", 2)
        assert 'FROM "raw_data"."orders"' in made.query
        assert made.seconds > 0
        days = self.rows("SELECT orders, CAST(revenue AS integer) FROM analytics.model ORDER BY day")
        assert days == [(2, 55), (1, 50)]
        self.order(4, "2026-01-03", "Cy", 5)
        assert self.task(DAILY)().rows == 3
        assert self.rows("SELECT count(*) FROM analytics.model") == [(3,)]

    def test_a_table_whose_columns_change(self) -> None:
        self.task(DAILY)()
        self.task('SELECT id, customer AS day FROM {{ ref("orders") }} WHERE id < 3')()
        assert self.rows("SELECT id, day FROM analytics.model ORDER BY id") == [(1, "Ada"), (2, "Bob")]
        assert not exists(self.warehouse, "analytics.model__model")

    def test_a_table_that_reads_itself(self) -> None:
        self.task("SELECT 1 AS n")()
        self.task("SELECT n + 1 AS n FROM {{ this }}")()
        assert self.rows("SELECT n FROM analytics.model") == [(2,)]

    def test_a_view(self) -> None:
        text = '{{ config(materialized="view", schema="processed_data", alias="seen") }}'
        text += ' SELECT id FROM {{ ref("orders") }}'
        assert self.task(text)().rows == 0
        self.order(4, "2026-01-03", "Cy", 5)
        assert self.rows("SELECT count(*) FROM processed_data.seen") == [(4,)]
        self.task(text.replace("id FROM", "customer, id FROM"))()
        assert self.rows("SELECT customer FROM processed_data.seen WHERE id = 4") == [("Cy",)]

    def test_a_view_becomes_a_table_and_a_table_a_view(self) -> None:
        query = 'SELECT id FROM {{ ref("orders") }}'
        view = '{{ config(materialized="view") }}' + query
        for text in (view, query, view, query):
            self.task(text)()
            assert self.rows("SELECT count(*) FROM analytics.model") == [(3,)]

    def test_what_no_model_made_is_not_replaced(self) -> None:
        self.warehouse.execute("CREATE SCHEMA analytics")
        self.warehouse.execute("CREATE TABLE analytics.model AS SELECT 7 AS n")
        for text in ("SELECT 1 AS n", '{{ config(materialized="view") }} SELECT 1 AS n'):
            with pytest.raises(SchemaRefused, match=r"analytics\.model that no SQL model made"):
                self.task(text)()
        assert self.rows("SELECT n FROM analytics.model") == [(7,)]
        self.task("SELECT 1 AS n", adopt=True)()
        assert self.rows("SELECT n FROM analytics.model") == [(1,)]

    def test_indexes(self) -> None:
        text = '{{ config(indexes=[{"columns": ["day"], "unique": True}, ["orders", "day"]]) }}'
        for _ in range(3):
            self.task(text + DAILY.partition("\n")[2])()
        with pytest.raises(SchemaRefused):
            self.warehouse.execute("INSERT INTO analytics.model SELECT * FROM analytics.model")
        self.task(text.replace("day", "id").replace('"orders", ', "") + 'SELECT id FROM {{ ref("orders") }}')()
        with pytest.raises(SchemaRefused):
            self.warehouse.execute("INSERT INTO analytics.model SELECT * FROM analytics.model")


class IncrementDuties(Making):
    def test_rows_of_a_key_are_replaced(self) -> None:
        assert self.task(ADDED)().rows == 2
        self.order(4, "2026-01-02", "Cy", 5)
        self.order(5, "2026-01-03", "Cy", 5)
        made = self.task(ADDED)()
        assert (made.kind, made.rows) == ("incremental", 2)
        assert [row[1] for row in self.rows("SELECT day, orders FROM analytics.model ORDER BY day")] == [2, 2, 1]

    def test_merge_keeps_columns_that_the_query_does_not_have(self) -> None:
        text = ADDED.replace('"day")', '"day", incremental_strategy="merge")')
        self.task(text)()
        self.warehouse.execute("ALTER TABLE analytics.model ADD COLUMN note varchar(9)")
        self.warehouse.execute("UPDATE analytics.model SET note = 'seen'")
        self.order(4, "2026-01-02", "Cy", 5)
        self.order(5, "2026-01-03", "Cy", 5)
        self.task(text)()
        found = self.rows("SELECT orders, note FROM analytics.model ORDER BY day")
        assert found == [(2, "seen"), (2, "seen"), (1, None)]

    def test_rows_are_appended(self) -> None:
        log = self.task(LOG)
        assert log().rows == 3
        self.order(4, "2026-01-03", "Cy", 5)
        assert log(after=3).rows == 1
        assert self.rows("SELECT count(*) FROM analytics.model") == [(4,)]
        assert log(full_refresh=True).rows == 4
        assert self.rows("SELECT count(*) FROM analytics.model") == [(4,)]

    def test_a_step_that_is_executed_again_adds_nothing(self) -> None:
        attempts: list[int] = []
        log = self.task(LOG, retries=2, on_running=[lambda *_: attempts.append(1)])
        inner = log.fn

        def failing(**params: Any) -> Any:
            done = inner(**params)
            if len(attempts) < 3:
                raise OSError("the process might as well have been killed here")
            return done

        failing.__signature__ = log.signature  # type: ignore[attr-defined]
        from penstock import task

        again = task(failing, name="log", retries=2, on_running=[lambda *_: attempts.append(1)])

        @flow
        def logging() -> list[int]:
            return [again().rows, again().rows]

        with Penstock().activate():
            assert logging() == [3, 3]
        assert len(attempts) == 4
        assert self.rows("SELECT count(*) FROM analytics.model") == [(6,)]

    def test_new_columns_are_added_and_numbers_widened(self) -> None:
        text = '{{ config(materialized="incremental", unique_key=["id"]) }} SELECT id FROM {{ ref("orders") }}'
        self.task(text)()
        self.task(text.replace("SELECT id", "SELECT id + 3000000000 AS id, customer"))()
        found = self.rows("SELECT id, customer FROM analytics.model ORDER BY id")
        assert found == [
            (1, None),
            (2, None),
            (3, None),
            *((3_000_000_000 + n, c) for n, c in ((1, "Ada"), (2, "Bob"), (3, "Ada"))),
        ]

    @pytest.mark.parametrize(
        ("option", "told"), [("fail", "columns that analytics.model does not have: customer"), ("ignore", "")]
    )
    def test_new_columns_that_are_not_wanted(self, option: str, told: str) -> None:
        text = f'{{{{ config(materialized="incremental", unique_key="id", on_schema_change="{option}") }}}}'
        text += ' SELECT id FROM {{ ref("orders") }}'
        self.task(text)()
        wider = self.task(text.replace("SELECT id", "SELECT id, customer"))
        if told:
            with pytest.raises(SchemaRefused, match=told):
                wider()
        else:
            wider()
        assert self.rows("SELECT * FROM analytics.model ORDER BY id") == [(1,), (2,), (3,)]

    def test_a_column_that_would_lose_something(self) -> None:
        text = '{{ config(materialized="incremental") }} SELECT id FROM {{ ref("orders") }}'
        self.task(text)()
        with pytest.raises(
            SchemaRefused, match=r"The column id of analytics.model is (?i:integer), and the query gives"
        ):
            self.task(text.replace("SELECT id", "SELECT 'x' || id AS id"))()
        assert self.rows("SELECT count(*) FROM analytics.model") == [(3,)]

    def test_keys_that_tell_no_rows_apart(self) -> None:
        text = (
            '{{ config(materialized="incremental", unique_key="customer") }} SELECT customer FROM {{ ref("orders") }}'
        )
        self.task(text + " WHERE id = 1")()
        with pytest.raises(SchemaRefused, match=r"several rows .* customer 'Ada'"):
            self.task(text)()
        with pytest.raises(SchemaRefused, match="is empty"):
            self.task(text.replace("SELECT customer", "SELECT NULLIF(customer, 'Bob') AS customer") + " WHERE id = 2")()
        with pytest.raises(SchemaRefused, match="no column customer"):
            self.task(text.replace("SELECT customer", "SELECT id"))()
        assert self.rows("SELECT * FROM analytics.model") == [("Ada",)]


class ParameterDuties(Making):
    @pytest.mark.parametrize("number", range(len(HOSTILE)))
    def test_a_hostile_value_stays_a_value(self, number: int) -> None:
        value = HOSTILE[number]
        asked = self.task('SELECT id, CAST({{ param("who") }} AS text) AS who FROM {{ ref("orders") }}')
        asked(who=value)
        assert set(self.rows("SELECT who FROM analytics.model")) == {(value,)}
        assert self.rows("SELECT count(*) FROM raw_data.orders") == [(3,)]

    def test_values_of_every_kind(self) -> None:
        when = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
        text = (
            'SELECT CAST({{ param("n") }} AS bigint) AS n, CAST({{ param("d") }} AS date) AS d, '
            'CAST({{ param("at") }} AS timestamp with time zone) AS moment, '
            'CAST({{ param("f") }} AS double precision) AS f, '
            'CAST({{ param("b") }} AS boolean) AS b, CAST({{ param("nothing") }} AS text) AS nothing, '
            'CAST({{ param("n") }} AS bigint) + 1 AS more, CAST({{ param("m") }} AS decimal(10, 2)) AS m'
        )
        given = {"n": 2**40, "d": when.date(), "at": when, "f": 0.1, "b": True, "nothing": None, "m": Decimal("1.25")}
        self.task(text)(**given)
        found = self.rows("SELECT n, d, moment, f, b, nothing, more, m FROM analytics.model")
        assert found == [(2**40, when.date(), when, 0.1, True, None, 2**40 + 1, Decimal("1.25"))]

    def test_a_day_as_a_date(self) -> None:
        counted = self.task('SELECT count(*) AS n FROM {{ ref("orders") }} WHERE day >= {{ param("since") }}')
        counted(since=datetime.date(2026, 1, 2))
        assert self.rows("SELECT n FROM analytics.model") == [(1,)]

    def test_parameters_that_are_missing_or_unknown(self) -> None:
        asked = self.task('SELECT {{ param("n") }} AS n')
        with pytest.raises(ParameterError, match="n: missing"):
            asked()
        with pytest.raises(ParameterError, match=r"m: no such parameter \(there are: n\)"):
            asked(n=1, m=2)
        with pytest.raises(ParameterError, match="n: a dict is no value"):
            asked(n={"a": 1})
        assert not exists(self.warehouse, "analytics.model")


class MistakeDuties(Making):
    def test_the_line_of_a_mistake_is_told(self) -> None:
        text = DAILY.replace("sum(total)", "\n  sum(totl)") + "\n"
        with pytest.raises(ModelFailed, match=r"model\.sql, line 3: .*totl"):
            self.task(text)()

    def test_the_line_where_a_part_is_left_out_above(self) -> None:
        text = ADDED.replace("GROUP BY day", "GROUP BY dayy")
        self.task(ADDED)()
        for refreshed in (True, False):
            with pytest.raises(ModelFailed, match=r"model\.sql, line 7: .*dayy"):
                self.task(text)(full_refresh=refreshed)

    def test_nothing_is_done_when_something_fails(self) -> None:
        self.task(DAILY)()
        with pytest.raises(ModelFailed):
            self.task("SELECT CAST('x' || id AS integer) AS n FROM {{ ref(\"orders\") }}")()
        assert self.rows("SELECT count(*) FROM analytics.model") == [(2,)]
        assert not exists(self.warehouse, "analytics.model__model")

    def test_a_statement_that_is_no_query(self) -> None:
        with pytest.raises(ModelFailed, match=r"model\.sql"):
            self.task("DELETE FROM raw_data.orders")()
        assert self.rows("SELECT count(*) FROM raw_data.orders") == [(3,)]
