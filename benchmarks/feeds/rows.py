"""Orders made by a formula, the same in Python and in SQL: every tool reads the same, and as many as are wanted."""

from typing import Any

FIRST_SECOND = 1_735_689_600  # 2025-01-01
YEAR_SECONDS = 31_536_000
COUNTRIES = "Austria,Belgium,Chile,Denmark,Estonia,France,Ghana,Hungary,Iceland,Japan,Kenya,Latvia"
_COUNTRIES = COUNTRIES.split(",")

ORDERS = f"""
SELECT i AS id,
       (i * 2654435761) % 100003 AS customer,
       'P' || lpad(CAST((i * 40503) % 5000 AS varchar), 5, '0') AS product,
       (i * 69069) % 12 + 1 AS quantity,
       CAST(((i * 48271) % 99999 + 1) / 100.0 AS decimal(12, 2)) AS amount,
       split_part('{COUNTRIES}', ',', CAST((i * 31) % 12 + 1 AS integer)) AS country,
       timestamp '2025-01-01 00:00:00' + (i % {YEAR_SECONDS}) * interval '1 second' AS ordered_at,
       i % 7 <> 0 AS paid,
       CASE WHEN i % 10 = 0 THEN 'late, but "fine"' WHEN i % 3 = 0 THEN NULL ELSE 'order ' || i END AS note
FROM numbers
"""
"""Understood by DuckDB and PostgreSQL; `numbers` has the column `i`, from 1 on, and is of 64 bits."""

FACTS = {
    "orders": {
        "rows": "count(*)",
        "ids": "sum(id)",
        "cents": "sum(CAST(round(amount * 100) AS bigint))",
        "quantities": "sum(quantity)",
        "notes": "count(note)",
    },
    "changed": {
        "rows": "count(*)",
        "ids": "sum(id)",
        "cents": "sum(CAST(round(amount * 100) AS bigint))",
        "notes": "count(note)",
    },
    "retail": {
        "rows": "count(*)",
        "quantities": "sum(quantity)",
        "mills": "sum(CAST(round(unitprice * 1000) AS bigint))",
        "customers": "count(customerid)",
        "invoices": "count(DISTINCT invoiceno)",
    },
}
"""What is counted of a table. Names of columns are compared without case and underscores."""


def order(number: int) -> dict[str, Any]:
    """The order of this number, as JSON has it."""
    note = 'late, but "fine"' if number % 10 == 0 else None if number % 3 == 0 else f"order {number}"
    return {
        "id": number,
        "customer": number * 2654435761 % 100003,
        "product": f"P{number * 40503 % 5000:05}",
        "quantity": number * 69069 % 12 + 1,
        "amount": (number * 48271 % 99999 + 1) / 100,
        "country": _COUNTRIES[number * 31 % 12],
        "ordered_at": moment(number % YEAR_SECONDS),
        "paid": number % 7 != 0,
        "note": note,
    }


def moment(seconds: int) -> str:
    """So many seconds into 2025, in UTC."""
    days, rest = divmod(seconds, 86_400)
    return f"{_day(days)}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def _day(number: int, known: dict[int, str] = {}) -> str:  # noqa: B006 (it is a cache)
    if number not in known:
        import datetime

        known[number] = (datetime.date(2025, 1, 1) + datetime.timedelta(days=number)).isoformat()
    return known[number]


def counted(orders: list[dict[str, Any]]) -> dict[str, int]:
    """The facts of some orders; those of several lists are added up."""
    return {
        "rows": len(orders),
        "ids": sum(one["id"] for one in orders),
        "cents": sum(round(one["amount"] * 100) for one in orders),
        "quantities": sum(one["quantity"] for one in orders),
        "notes": sum(one["note"] is not None for one in orders),
    }
