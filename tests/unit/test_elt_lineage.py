"""Where the columns of a query come from, in both dialects, and where that cannot be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.stores.elt import Origin, SqlFolder, lineage_of, sql_task
from penstock.stores.elt.lineage import lineage_of_query, statements
from penstock.stores.warehouse.names import Name

ORDERS, LINES = Name("raw", "orders"), Name("raw", "lines")
KNOWN = {ORDERS: ["id", "day", "total"], LINES: ["order_id", "sku", "pieces"]}
CASES = {
    "SELECT id, total * 2 AS twice FROM raw.orders": {"id": "orders.id", "twice": "orders.total"},
    "SELECT o.day, sum(l.pieces) AS n FROM raw.orders o JOIN raw.lines l ON l.order_id = o.id GROUP BY 1": {
        "day": "orders.day",
        "n": "lines.pieces",
    },
    "WITH a AS (SELECT id AS x, total AS y FROM raw.orders), b AS (SELECT x, y + x AS z FROM a) SELECT z, x FROM b": {
        "z": "orders.id orders.total",
        "x": "orders.id",
    },
    "SELECT id FROM raw.orders UNION ALL SELECT order_id FROM raw.lines": {"id": "lines.order_id orders.id"},
    "SELECT id, (SELECT max(pieces) FROM raw.lines WHERE order_id = id) AS most FROM raw.orders": {
        "id": "orders.id",
        "most": "lines.pieces",
    },
    "SELECT q.n FROM (SELECT count(*) AS n, day FROM raw.orders GROUP BY day) q": {"n": ""},
    "SELECT 1 AS one, $1 AS given, day FROM raw.orders WHERE total > $2": {"one": "", "given": "", "day": "orders.day"},
    "SELECT row_number() OVER (PARTITION BY day ORDER BY total) AS place FROM raw.orders": {
        "place": "orders.day orders.total"
    },
    "SELECT * FROM raw.orders": {"id": "orders.id", "day": "orders.day", "total": "orders.total"},
    "SELECT pieces, total FROM raw.orders JOIN raw.lines ON id = order_id": {
        "pieces": "lines.pieces",
        "total": "orders.total",
    },
    'SELECT "total" AS "Total Sum" FROM "raw"."orders"': {"Total Sum": "orders.total"},
    "SELECT CASE WHEN total > 3 THEN day END AS x FROM raw.orders": {"x": "orders.day orders.total"},
}


@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
@pytest.mark.parametrize("number", range(len(CASES)))
def test_columns_come_from(dialect: str, number: int) -> None:
    sql, expected = list(CASES.items())[number]
    found = lineage_of_query(sql, dialect=dialect, columns=KNOWN)
    assert found.columns is not None, found.why
    told = {
        name: " ".join(sorted(f"{origin.table.table}.{origin.column}" for origin in origins))
        for name, origins in found.columns.items()
    }
    assert told == expected
    assert list(told) == list(expected)
    assert {table.table for table in found.inputs} == {
        name for name in ("orders", "lines") if f"raw.{name}" in sql.replace('"', "")
    }


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT * FROM raw.orders", "not known"),
        ("SELECT pieces, total FROM raw.orders JOIN raw.lines ON id = order_id", "which table"),
        ("SELECT (((", "not understood"),
    ],
)
def test_what_cannot_be_told_is_not(sql: str, why: str) -> None:
    found = lineage_of_query(sql, dialect="duckdb")
    assert found.columns is None
    assert why in found.why
    assert {table.table for table in found.inputs} <= {"orders", "lines"}


def test_names_are_told_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "m.sql").write_text(
        'SELECT o."Id" FROM {{ ref("orders") }} o JOIN {{ source("Raw", "Lines") }} l USING (x)'
    )
    model = sql_task(tmp_path / "m.sql", inputs={"orders": ("Raw", "My Orders")}).model
    for dialect in ("duckdb", "postgres"):
        found = lineage_of(model, dialect=dialect)
        assert set(found.inputs) == {Name("Raw", "My Orders"), Name("Raw", "Lines")}
        assert found.columns is not None
        ((origin,),) = found.columns.values()
        assert (origin.table, origin.column.lower()) == (Name("Raw", "My Orders"), "id")


def test_of_a_model_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("SELECT 1 AS n")
    (tmp_path / "b.sql").write_text('SELECT n + 1 AS more FROM {{ ref("a") }}')
    found = lineage_of(SqlFolder(tmp_path).models["b"])
    assert found.columns == {"more": (Origin(Name("analytics", "a"), "n"),)}


@pytest.mark.parametrize(
    ("sql", "number"),
    [("SELECT 1", 1), ("SELECT 1;", 1), ("SELECT ';'; -- ;", 1), ("SELECT 1; SELECT 2", 2), ("SELECT ((", None)],
)
def test_how_many_statements(sql: str, number: int | None) -> None:
    assert statements(sql) == number
