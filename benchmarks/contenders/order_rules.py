"""The twelve rules that validators are measured with; their names are those that `feeds/checked.py` counts by."""

from datetime import UTC, datetime, timedelta
from typing import Any

STATUSES = ["open", "paid", "sent", "back"]
EMAIL = r"^[^@\s]+@[^@\s]+\.[a-z]+$"
AMOUNTS, QUANTITIES, LENGTHS, MEANS = (0, 100_000), (1, 100), (5, 100), (50, 70)
TIMES = (datetime(2020, 1, 1), datetime(2030, 1, 1))

PENSTOCK: dict[str, dict[str, Any]] = {
    "id_null": {"rule": "not_null", "column": "id"},
    "id_repeated_rows": {"rule": "unique", "column": "id"},
    "customer_null": {"rule": "not_null", "column": "customer"},
    "amount_range": {"rule": "between", "column": "amount", "min": AMOUNTS[0], "max": AMOUNTS[1]},
    "quantity_range": {"rule": "between", "column": "quantity", "min": QUANTITIES[0], "max": QUANTITIES[1]},
    "status_set": {"rule": "in_set", "column": "status", "values": STATUSES},
    "email_pattern": {"rule": "matches", "column": "email", "pattern": EMAIL},
    "email_length": {"rule": "length", "column": "email", "min": LENGTHS[0], "max": LENGTHS[1]},
    "shipped_order": {"rule": "greater", "columns": ["shipped", "ordered"], "or_equal": True},
    "amount_mean": {"rule": "mean", "column": "amount", "min": MEANS[0], "max": MEANS[1]},
    "ordered_range": {"rule": "between", "column": "ordered", "min": TIMES[0], "max": TIMES[1]},
    "row_count": {"rule": "row_count", "min": 1},
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    """Microseconds from 1970 on, which is how moments are told; without a zone it is one of UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)
