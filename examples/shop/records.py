"""The dirty records that the shop hands out: what happened, as its systems wrote it down."""

from __future__ import annotations

import datetime
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from world import Click, Customer, Order, Product, World, date_of

Record = dict[str, Any]
ALIAS = 100_000
AGAIN = 1_000_000
COUNTRIES = {
    "DE": ("DE", "de", "Germany", "Deutschland"),
    "FR": ("FR", "fr", "France", " FR"),
    "IT": ("IT", "Italy", "it"),
    "ES": ("ES", "Spain", "España"),
    "PL": ("PL", "Poland", "Polska"),
    "DK": ("DK", "Denmark", "dk "),
}


def products(world: World) -> list[Record]:
    """As the product API has them: prices as numbers and as texts, shelves as somebody typed them, some twice."""
    chance = random.Random(f"{world.seed} dirt of products")
    found = []
    for product in world.products:
        record = _product(chance, product)
        if chance.random() < 0.05:
            found.append({**record, "price": "0", "updated_at": "2025-01-01T00:00:00Z"})  # from before it had a price
        found.append(record)
    return found


def _product(chance: random.Random, product: Product) -> Record:
    price: Any = float(product.price)
    if chance.random() < 0.3:
        price = f"{product.price:.2f} €".replace(".", ",")
    shelf = chance.choice(
        (product.category, product.category, product.category.upper(), f" {product.category.lower()}")
    )
    return {
        "sku": product.sku,
        "title": product.name,
        "category": shelf,
        "price": price,
        "updated_at": "2026-02-01T08:00:00Z",
    }


def customers(world: World) -> list[Record]:
    """As the customer API has them: addresses in capitals, countries in every spelling, some people twice."""
    chance = random.Random(f"{world.seed} dirt of customers")
    found = []
    for customer in world.customers:
        record = _customer(chance, customer)
        found.append(record)
        if has_alias(customer):
            found.append({**record, "id": customer.id + ALIAS, "email": customer.email.upper(), "city": None})
    return sorted(found, key=lambda record: record["id"])


def _customer(chance: random.Random, customer: Customer) -> Record:
    email = chance.choice((customer.email, customer.email, customer.email.upper(), f" {customer.email} "))
    return {
        "id": customer.id,
        "name": chance.choice((customer.name, customer.name.upper(), f"{customer.name}  ")),
        "email": email,
        "city": customer.city if chance.random() > 0.04 else None,
        "country": chance.choice(COUNTRIES[customer.country]),
        "created_at": customer.since.isoformat(),
    }


def has_alias(customer: Customer) -> bool:
    """This one has registered twice."""
    return customer.id % 29 == 0


def new_orders(world: World, day: int) -> tuple[list[Record], list[Record]]:
    """Rows for the tables `orders` and `order_lines`, as they come in on a day.

    Some orders were sent twice (the second one has another number and the same checkout), some are tests of the staff
    (no customer), and some lines say that nothing was bought.
    """
    chance = random.Random(f"{world.seed} dirt of orders {day}")
    orders: list[Record] = []
    lines: list[Record] = []
    for order in world.seen(day):
        record = _order(chance, order)
        mine = _lines(chance, order)
        orders.append(record)
        lines += mine
        if chance.random() < 0.02:
            again = order.id + AGAIN
            orders.append({**record, "id": again})
            lines += [{**line, "order_id": again} for line in mine]
        if chance.random() < 0.005:
            test = order.id + 2 * AGAIN
            orders.append({**record, "id": test, "customer_id": -1, "checkout": f"test-{order.id}"})
            lines += [{**line, "order_id": test, "quantity": 99} for line in mine]
    return orders, lines


def _order(chance: random.Random, order: Order) -> Record:
    number = order.customer.id
    if has_alias(order.customer) and chance.random() < 0.5:
        number += ALIAS
    return {
        "id": order.id,
        "checkout": order.checkout,
        "customer_id": number,
        "ordered_at": order.at.isoformat(),
        "status": "placed",
        "updated_at": max(order.at, _opening(order.seen_on)).isoformat(),
    }


def _lines(chance: random.Random, order: Order) -> list[Record]:
    found = [
        {
            "order_id": order.id,
            "line": place,
            "sku": line.product.sku,
            "quantity": line.quantity,
            "unit_price": float(line.product.price),
        }
        for place, line in enumerate(order.lines, start=1)
    ]
    if chance.random() < 0.03:
        found.append({**found[0], "line": len(found) + 1, "quantity": 0})
    return found


def cancellations(world: World, day: int) -> list[tuple[int, str]]:
    """Orders that are cancelled on a day, and when; those that were sent twice are cancelled twice."""
    return [
        (order.id + extra, order.cancelled_at.isoformat())
        for order in world.cancelled(day)
        if order.cancelled_at is not None
        for extra in (0, AGAIN)
    ]


def clicks(world: World, day: int) -> Iterator[tuple[str, list[str]]]:
    """The click log of a day: names of files, one for each hour, and their lines.

    Some lines are cut off, some events were sent twice, and from the second day on there is a field more.
    """
    chance = random.Random(f"{world.seed} dirt of clicks {day}")
    hours: dict[int, list[str]] = defaultdict(list)
    for click in world.clicks[day]:
        line = json.dumps(_click(chance, click, day), ensure_ascii=False)
        hours[click.at.hour].append(line)
        if chance.random() < 0.005:
            hours[click.at.hour].append(line)
        if chance.random() < 0.002:
            hours[click.at.hour].append(line[: chance.randint(1, len(line) - 1)])
    for hour, lines in sorted(hours.items()):
        yield f"clicks-{date_of(day)}-{hour:02d}.ndjson.gz", lines


def _click(chance: random.Random, click: Click, day: int) -> Record:
    record = {
        "event_id": click.id,
        "session": click.session,
        "at": click.at.isoformat(),
        "action": click.action,
        "sku": click.product.sku,
        "customer_id": click.customer.id if click.customer else None,
    }
    if day > 0:
        record["device"] = chance.choice(("phone", "phone", "tablet", "laptop"))
    return record


def _opening(day: int) -> datetime.datetime:
    """When late orders of the day before come in."""
    return datetime.datetime.combine(date_of(day), datetime.time(0, 0, 1), datetime.UTC)
