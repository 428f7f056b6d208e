"""Validators on Polars: one bare query, pandera and pointblank; and what a bare query tells of each column."""

import os
import sys
from typing import Any

import polars as pl
from meter import Watch, source
from order_rules import AMOUNTS, EMAIL, LENGTHS, MEANS, QUANTITIES, STATUSES, TIMES, micros

AT_LEAST_ONE = 1
c = pl.col


def bare() -> dict[str, int]:
    row = (
        pl.scan_parquet(source())
        .select(
            id_null=c("id").null_count(),
            id_repeated_surplus=pl.len() - c("id").n_unique(),
            customer_null=c("customer").null_count(),
            amount_range=(~c("amount").is_between(*AMOUNTS)).sum(),
            quantity_range=(~c("quantity").is_between(*QUANTITIES)).sum(),
            status_set=(~c("status").is_in(STATUSES)).sum(),
            email_pattern=(~c("email").str.contains(EMAIL)).sum(),
            email_length=(~c("email").str.len_chars().is_between(*LENGTHS)).sum(),
            shipped_order=(c("shipped") < c("ordered")).sum(),
            amount_mean=~c("amount").mean().is_between(*MEANS),
            ordered_range=(~c("ordered").is_between(*TIMES)).sum(),
            row_count=pl.len() < AT_LEAST_ONE,
        )
        .collect(engine="streaming")
        .row(0, named=True)
    )
    return {name: int(value) for name, value in row.items()}


def with_pandera() -> dict[str, int]:
    import pandera.polars as pa
    from pandera.errors import SchemaErrors

    def column(kind: Any, *checks: Any, nullable: bool = True, unique: bool = False) -> Any:
        return pa.Column(kind, list(checks), nullable=nullable, unique=unique)

    def of_frame(check: Any, name: str) -> Any:
        return pa.Check(check, error=name)

    order = of_frame(lambda data: data.lazyframe.select(c("shipped") >= c("ordered")), "shipped_order")
    mean = of_frame(lambda data: data.lazyframe.select(c("amount").mean().is_between(*MEANS)), "amount_mean")
    some = of_frame(lambda data: data.lazyframe.select(pl.len() >= AT_LEAST_ONE), "row_count")
    schema = pa.DataFrameSchema(
        {
            "id": column(pl.Int64, nullable=False, unique=True),
            "customer": column(pl.Int64, nullable=False),
            "amount": column(pl.Float64, pa.Check.in_range(*AMOUNTS, error="amount_range")),
            "quantity": column(pl.Int32, pa.Check.in_range(*QUANTITIES, error="quantity_range")),
            "status": column(pl.String, pa.Check.isin(STATUSES, error="status_set")),
            "email": column(
                pl.String,
                pa.Check.str_matches(EMAIL, error="email_pattern"),
                pa.Check.str_length(*LENGTHS, error="email_length"),
            ),
            "ordered": column(pl.Datetime("us"), pa.Check.in_range(*TIMES, error="ordered_range")),
            "shipped": column(pl.Datetime("us")),
        },
        checks=[order, mean, some],
    )
    names = {"not_nullable": "{}_null", "field_uniqueness": "{}_repeated_rows"}
    broken: dict[str, int] = {}
    try:
        schema.validate(pl.read_parquet(source()), lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases.group_by("check", "column").len()
        for check, of, count in cases.iter_rows():
            broken[names.get(check, check).format(of)] = count
    return {name: broken.pop(name, 0) for name in ("id_null", "id_repeated_rows", *NAMES)} | broken


NAMES = (
    "customer_null", "amount_range", "quantity_range", "status_set", "email_pattern", "email_length", "shipped_order",
    "amount_mean", "ordered_range", "row_count",
)  # fmt: skip


def with_pointblank() -> dict[str, int]:
    import pointblank as pb

    found = (
        pb.Validate(pl.scan_parquet(source()))
        .col_vals_not_null("id")
        .rows_distinct("id")
        .col_vals_not_null("customer")
        .col_vals_between("amount", *AMOUNTS, na_pass=True)
        .col_vals_between("quantity", *QUANTITIES, na_pass=True)
        .col_vals_in_set("status", STATUSES)
        .col_vals_regex("email", EMAIL, na_pass=True)
        .col_vals_str_len("email", *LENGTHS, na_pass=True)
        .col_vals_ge("shipped", pb.col("ordered"), na_pass=True)
        .col_avg_ge("amount", MEANS[0])
        .col_avg_le("amount", MEANS[1])
        .col_vals_between("ordered", *TIMES, na_pass=True)
        .specially(lambda frame: frame.lazy().select(pl.len()).collect().item() >= AT_LEAST_ONE)
        .interrogate(collect_extracts=False, collect_tbl_checked=False)
    )
    counts = list(found.n_failed().values())
    counts[9:11] = [max(counts[9:11])]
    return dict(zip(("id_null", "id_repeated_rows", *NAMES), counts, strict=True))


def profile() -> None:
    """The least that a profile says, in one query."""
    watch = Watch()
    frame = pl.scan_parquet(source())
    schema = frame.collect_schema()
    asked = {"nulls": pl.Expr.null_count, "distinct": pl.Expr.approx_n_unique, "min": pl.Expr.min, "max": pl.Expr.max}
    queries = [what(c(name)).alias(f"{name}.{told}") for name in schema for told, what in asked.items()]
    row = frame.select(queries).collect(engine="streaming").row(0, named=True)
    columns: dict[str, dict[str, Any]] = {name: {} for name in schema}
    for key, value in row.items():
        name, told = key.split(".")
        columns[name][told] = micros(value) if hasattr(value, "isoformat") else value
    watch.tell(columns=columns)


def main() -> None:
    if sys.argv[1] == "profile":
        profile()
        return
    check = {"bare": bare, "pandera": with_pandera, "pointblank": with_pointblank}[os.environ["BENCH_WITH"]]
    watch = Watch()
    watch.tell(broken=check())


if __name__ == "__main__":
    main()
