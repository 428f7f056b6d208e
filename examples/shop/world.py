"""A web shop that never was: its customers, products, orders and clicks, day by day, and what is true about them.

The same seed makes the same world. What happens is clean; `records.py` makes of it the dirty data that a real shop
would hand out, and the demo compares what the pipeline found with what happened.
"""

from __future__ import annotations

import datetime
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

START = datetime.date(2026, 3, 1)
FIRST_NAMES = (
    "Ada Amélie Björn Carlos Chloé Dmitri Elif Fatima Giulia Hanna Ibrahim Inés Jürgen Kofi Lena Mateusz Mei Nadia "
    "Noah Olga Paulo Priya Quentin Rosa Søren Tariq Uma Viktor Wanda Yuki Zoë"
).split()
LAST_NAMES = (
    "Aalto Bauer Costa Dubois Eriksen Ferrari García Horváth Ivanova Jensen Kowalski Lefèvre Müller Nakamura O'Neill "
    "Petrov Quiroga Rossi Schmidt Tanaka Ünal Virtanen Weiß Xu Zieliński"
).split()
CITIES = {
    "DE": ("Berlin", "Köln", "München"),
    "FR": ("Lyon", "Paris", "Nîmes"),
    "IT": ("Milano", "Torino"),
    "ES": ("Málaga", "Sevilla"),
    "PL": ("Kraków", "Łódź"),
    "DK": ("Aarhus", "København"),
}
SHELVES = {
    "Coffee": (("Beans", "Grinder", "Kettle", "Filter papers", "Cup"), (6, 90)),
    "Books": (("Atlas", "Novel", "Cookbook", "Field guide"), (9, 45)),
    "Garden": (("Secateurs", "Seed box", "Trowel", "Watering can", "Gloves"), (4, 60)),
    "Light": (("Desk lamp", "Lantern", "Candle", "Bulb"), (3, 120)),
    "Desk": (("Notebook", "Fountain pen", "Ink", "Ruler"), (2, 70)),
}
COLOURS = ("black", "blue", "clay", "green", "red", "sand", "white")


@dataclass(frozen=True)
class Customer:
    """Somebody who buys; `country` is an ISO code."""

    id: int
    name: str
    email: str
    city: str
    country: str
    since: datetime.datetime


@dataclass(frozen=True)
class Product:
    """Something to buy; the price is in euros, tax included."""

    id: int
    sku: str
    name: str
    category: str
    price: Decimal


@dataclass(frozen=True)
class Line:
    """So many of a product, at the price of that day."""

    product: Product
    quantity: int

    @property
    def amount(self) -> Decimal:
        """What it costs."""
        return self.product.price * self.quantity


@dataclass
class Order:
    """A purchase.

    Attributes:
        seen_on: the day on which the shop's database has it; an order made offline comes a day late.
        cancelled_at: when it was cancelled, if it was.
        checkout: one press of the button; an order that was sent twice has the same.
    """

    id: int
    checkout: str
    customer: Customer
    at: datetime.datetime
    lines: tuple[Line, ...]
    seen_on: int
    cancelled_at: datetime.datetime | None = None

    @property
    def amount(self) -> Decimal:
        """What it costs."""
        return sum((line.amount for line in self.lines), Decimal(0))


@dataclass(frozen=True)
class Click:
    """Something that somebody did on the pages."""

    id: str
    session: str
    at: datetime.datetime
    action: str
    product: Product
    customer: Customer | None


@dataclass
class Truth:
    """What a pipeline that makes no mistake finds after some days.

    Attributes:
        revenue: by day of the order, without what was cancelled by then.
        orders: how many of them, by day.
        categories: revenue by category.
        customers: revenue by customer id.
        actions: how many clicks of each kind.
    """

    revenue: dict[datetime.date, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    orders: Counter[datetime.date] = field(default_factory=Counter)
    categories: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    customers: dict[int, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    actions: Counter[str] = field(default_factory=Counter)


class World:
    """What happens in the shop.

    Args:
        seed: which of the many worlds.
        days: how many days it has.
        orders: about so many orders a day.
        customers: so many people.
    """

    def __init__(self, seed: int = 7, *, days: int = 3, orders: int = 500, customers: int = 300) -> None:
        self.seed = seed
        self.days = days
        chance = random.Random(f"{seed} people and things")
        self.products = list(_products(chance))
        self.customers = [_customer(chance, number) for number in range(1, customers + 1)]
        self.orders: list[Order] = []
        self.clicks: list[list[Click]] = []
        for day in range(days):
            chance = random.Random(f"{seed} day {day}")
            self.orders += self._orders(chance, day, int(orders * chance.uniform(0.8, 1.2)))
            self.clicks.append(sorted(self._clicks(chance, day), key=lambda click: click.at))

    def _orders(self, chance: random.Random, day: int, count: int) -> Iterator[Order]:
        first = len(self.orders) + 1
        weights = [1 / (1 + place % 60) for place in range(len(self.products))]
        moments = sorted(_moment(chance, day) for _ in range(count))
        for number, at in enumerate(moments, start=first):
            picked = chance.choices(self.products, weights, k=chance.choice((1, 1, 1, 2, 2, 3)))
            late = day + 1 < self.days and chance.random() < 0.03
            order = Order(
                id=number,
                checkout=f"{self.seed:02d}-{number:06d}-{chance.getrandbits(32):08x}",
                customer=chance.choice(self.customers),
                at=at,
                lines=tuple(Line(product, chance.choice((1, 1, 1, 2, 3))) for product in dict.fromkeys(picked)),
                seen_on=day + late,
            )
            if chance.random() < 0.06:
                order.cancelled_at = at + datetime.timedelta(hours=chance.uniform(24 if late else 0.1, 40))
            yield order

    def _clicks(self, chance: random.Random, day: int) -> Iterator[Click]:
        number = 0
        for order in [order for order in self.orders if order.at.date() == date_of(day)]:
            session = f"s{order.id:06d}"
            at = order.at - datetime.timedelta(minutes=chance.uniform(2, 20))
            seen = [*chance.sample(self.products, chance.randint(2, 8)), *(line.product for line in order.lines)]
            steps = [("view", product) for product in seen] + [("cart", line.product) for line in order.lines]
            for action, product in [*steps, ("purchase", order.lines[0].product)]:
                number += 1
                at = max(at, _midnight(day)) + datetime.timedelta(seconds=chance.uniform(1, 9))
                yield Click(f"{day:03d}-{number:07d}", session, at, action, product, order.customer)
        for visit in range(len(self.customers)):
            at = _moment(chance, day)
            for product in chance.sample(self.products, chance.randint(1, 12)):
                number += 1
                at += datetime.timedelta(seconds=chance.uniform(2, 60))
                yield Click(f"{day:03d}-{number:07d}", f"v{day}-{visit}", at, "view", product, None)

    def seen(self, day: int) -> list[Order]:
        """Orders that come into the database on this day."""
        return [order for order in self.orders if order.seen_on == day]

    def cancelled(self, day: int) -> list[Order]:
        """Orders that are cancelled on this day, and are there already."""
        return [
            order
            for order in self.orders
            if order.cancelled_at is not None and order.cancelled_at.date() == date_of(day) and order.seen_on <= day
        ]

    def truth(self, days: int | None = None) -> Truth:
        """What is true after so many days; all of them when left out."""
        count = self.days if days is None else days
        found = Truth()
        gone = {order.id for day in range(count) for order in self.cancelled(day)}
        for order in self.orders:
            if order.seen_on >= count or order.id in gone:
                continue
            found.revenue[order.at.date()] += order.amount
            found.orders[order.at.date()] += 1
            found.customers[order.customer.id] += order.amount
            for line in order.lines:
                found.categories[line.product.category] += line.amount
        for clicks in self.clicks[:count]:
            found.actions.update(click.action for click in clicks)
        return found


def date_of(day: int) -> datetime.date:
    """The date of a day of the world, counted from 0."""
    return START + datetime.timedelta(days=day)


def _midnight(day: int) -> datetime.datetime:
    return datetime.datetime.combine(date_of(day), datetime.time(), datetime.UTC)


def _moment(chance: random.Random, day: int) -> datetime.datetime:
    """Some time of the day; more is bought in the evening, and nothing in the last half hour."""
    hour = chance.triangular(0, 23.4, 19)
    return _midnight(day) + datetime.timedelta(seconds=round(hour * 3600, 3))


def _products(chance: random.Random) -> Iterator[Product]:
    number = 0
    for category, (names, (low, high)) in SHELVES.items():
        for name in names:
            for colour in chance.sample(COLOURS, 4):
                number += 1
                price = Decimal(round(chance.uniform(low, high))) - Decimal("0.05") * chance.randint(0, 3)
                yield Product(number, f"{category[:2].upper()}-{number:04d}", f"{name}, {colour}", category, price)


def _customer(chance: random.Random, number: int) -> Customer:
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    country = chance.choice(list(CITIES))
    since = _midnight(0) - datetime.timedelta(days=chance.randint(1, 900), seconds=chance.randint(0, 86_399))
    email = f"{first}.{last}.{number}@example.com".replace("'", "").casefold()
    return Customer(number, f"{first} {last}", email, chance.choice(CITIES[country]), country, since)
