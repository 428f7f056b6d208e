"""From the raw zone to tables that can be trusted: one row for each thing, one spelling for each value."""

from __future__ import annotations

import polars as pl
from places import Places

from penstock import task
from penstock.data import put

COUNTRIES = {
    **dict.fromkeys(("de", "germany", "deutschland"), "DE"),
    **dict.fromkeys(("fr", "france"), "FR"),
    **dict.fromkeys(("it", "italy"), "IT"),
    **dict.fromkeys(("es", "spain", "españa"), "ES"),
    **dict.fromkeys(("pl", "poland", "polska"), "PL"),
    **dict.fromkeys(("dk", "denmark"), "DK"),
}


def raw(places: Places, name: str) -> pl.DataFrame:
    """A table of the raw zone."""
    return pl.DataFrame(places.open_lake().read(f"raw/{name}").read_all())


def keep(places: Places, name: str, frame: pl.DataFrame) -> int:
    """Put a refined table into the processed zone and into the warehouse."""
    put(frame, places.open_lake().table(f"processed/{name}", mode="replace"))
    with places.open_warehouse() as warehouse:
        return put(frame, warehouse.table(f"processed_data.{name}", mode="replace")).counts.landed


def in_utc(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Moments, and the days that they are on; a database without moments has texts."""
    moment = pl.col(column)
    if frame.schema[column] == pl.String:
        moment = moment.str.to_datetime(time_unit="us", time_zone="UTC")
    return frame.with_columns(moment.dt.convert_time_zone("UTC")).with_columns(pl.col(column).dt.date().alias("day"))


@task
def refine_products(places: Places) -> int:
    """One row for each product: the newest, its price a number, its category spelled one way."""
    price = pl.col("price").str.replace(",", ".").str.extract(r"([0-9.]+)").cast(pl.Float64)
    frame = (
        raw(places, "products")
        .sort("updated_at")
        .unique("sku", keep="last")
        .select("sku", pl.col("title").alias("name"), pl.col("category").str.strip_chars().str.to_titlecase(), price)
        .sort("sku")
    )
    return keep(places, "products", frame)


@task
def refine_customers(places: Places) -> int:
    """One row for each person: who has registered twice has the same address of mail."""
    frame = (
        raw(places, "customers")
        .with_columns(
            pl.col("name").str.strip_chars().str.to_titlecase(),
            pl.col("email").str.strip_chars().str.to_lowercase(),
            pl.col("country").str.strip_chars().str.to_lowercase().replace_strict(COUNTRIES, default=None),
        )
        .sort("id")
        .group_by("email", maintain_order=True)
        .agg(
            pl.col("id").first(),
            pl.col("name").first(),
            pl.col("city").drop_nulls().first(),
            pl.col("country").first(),
            pl.col("created_at").first(),
            pl.col("id").alias("all_ids"),
        )
    )
    put(
        frame.select("id", pl.col("all_ids").alias("alias")).explode("alias"),
        places.open_lake().table("processed/aliases", mode="replace"),
    )
    return keep(places, "customers", frame.drop("all_ids"))


@task
def refine_orders(places: Places) -> dict[str, int]:
    """One row for each press of the button, by somebody who is known; and what was really bought."""
    aliases = pl.DataFrame(places.open_lake().read("processed/aliases").read_all())
    everything = in_utc(raw(places, "orders"), "ordered_at").sort("id")
    once = everything.unique("checkout", keep="first", maintain_order=True)
    orders = (
        once.join(aliases, left_on="customer_id", right_on="alias", how="inner", suffix="_person")
        .with_columns(pl.col("id_person").alias("customer_id"))
        .drop("id_person")
        .sort("id")
    )
    lines = raw(places, "order_lines").filter(pl.col("quantity") > 0).join(orders.select(order_id="id"), on="order_id")
    keep(places, "orders", orders)
    keep(places, "order_lines", lines.sort("order_id", "line"))
    return {
        "received": everything.height,
        "sent_twice": everything.height - once.height,
        "of_nobody": once.height - orders.height,
        "kept": orders.height,
    }


@task
def refine_clicks(places: Places) -> int:
    """One row for each event."""
    clicks = in_utc(raw(places, "clicks").rename({"at": "clicked_at"}), "clicked_at")
    return keep(places, "clicks", clicks.unique("event_id").sort("event_id"))
