"""The profile of one column."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.core.errors import BadData
from penstock.quality.profiles.cardinality import Cardinality
from penstock.quality.profiles.frequent import Frequent, Top
from penstock.quality.profiles.moments import Moments
from penstock.quality.profiles.ranks import Ranks
from penstock.quality.profiles.texts import Kinds

if TYPE_CHECKING:
    import numpy as np
else:
    from penstock.quality.extras import np

ORDERED = ("number", "date", "datetime", "time", "duration")
"""Families whose values have ranks."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1).toordinal()
_COUNTS = ("rows", "nulls", "nan", "positive_infinite", "negative_infinite", "zeros", "negatives", "empty", "blank",
           "padded", "not_ascii")  # fmt: skip


class Bin(NamedTuple):
    """A part of a histogram: values from low up to, and without, high; the last one with it."""

    low: Any
    high: Any
    rows: int


class Precision(NamedTuple):
    """How much is kept of a column: different values, ranks, and frequent values."""

    distinct: int
    ranks: int
    frequent: int


PRECISE = Precision(32_768, 4_096, 512)


class Order:
    """Whether values come ascending or descending, as they follow each other; nulls are left out."""

    def __init__(self) -> None:
        self.first: Any = None
        self.last: Any = None
        self.rises = self.falls = self.strictly = True

    def _judge(self, before: Any, after: Any) -> None:
        self.rises = self.rises and before <= after
        self.falls = self.falls and before >= after
        self.strictly = self.strictly and before != after

    def follow(self, other: Order) -> Order:
        """These values, and then the other ones."""
        made = Order()
        made.rises, made.falls = self.rises and other.rises, self.falls and other.falls
        made.strictly = self.strictly and other.strictly
        made.first = self.first if self.first is not None else other.first
        made.last = other.last if other.last is not None else self.last
        if self.last is not None and other.first is not None:
            made._judge(self.last, other.first)
        return made if made.rises or made.falls else Order.none()

    @classmethod
    def none(cls) -> Order:
        """Of values that come neither way; whatever follows, it stays so."""
        made = cls()
        made.rises = made.falls = made.strictly = False
        return made

    @property
    def word(self) -> str | None:
        """`increasing`, `decreasing`, either of them `strictly`, `constant`, or None; None of no values."""
        if self.first is None or not (self.rises or self.falls):
            return None
        if self.rises and self.falls:
            return "constant"
        return f"{'strictly ' * self.strictly}{'increasing' if self.rises else 'decreasing'}"


class ColumnProfile:
    """What a column holds.

    Attributes:
        name: its name.
        type: in the words that the rule `type` uses.
        family: number, text, boolean, date, datetime, time, duration, list, or the type itself.
        zone: of moments.
        rows, nulls: rows, and those without a value.
        nan, positive_infinite, negative_infinite: of floats; they are left out of everything else but `distinct`.
        zeros, negatives: of numbers.
        empty, blank, padded, not_ascii: texts without a character, of white space alone, with white space at an end,
            and with characters beyond ASCII.
        minimum, maximum: of finite numbers, dates, times and texts; the first 256 characters of texts.
        moments: count, sum, mean and deviation of finite numbers.
        ranks: how numbers, dates and times are distributed; of texts and lists, their lengths.
        cardinality: different values; None of lists and structs.
        frequent: the values that come most.
        shapes: of texts, such as `AA-999`.
        kinds: what texts stand for.
        order: whether values ascend or descend.
    """

    def __init__(self, name: str, kind: str, family: str, zone: str | None, precision: Precision = PRECISE) -> None:
        self.name, self.type, self.family, self.zone = name, kind, family, zone
        self.precision = precision
        self.rows = self.nulls = 0
        self.nan = self.positive_infinite = self.negative_infinite = self.zeros = self.negatives = 0
        self.empty = self.blank = self.padded = self.not_ascii = 0
        self.lowest: Any = None
        self.highest: Any = None
        self.moments = Moments()
        self.ranks = Ranks(precision.ranks)
        self.cardinality = Cardinality(precision.distinct)
        self.frequent = Frequent(precision.frequent)
        self.shapes = Frequent(precision.frequent)
        self.kinds = Kinds()
        self.order = Order()

    @property
    def values(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    @property
    def null_share(self) -> float:
        """Nulls by rows."""
        return self.nulls / self.rows if self.rows else 0.0

    @property
    def compared(self) -> bool:
        """Whether values are told apart; those of lists and structs are not."""
        return self.family in (*ORDERED, "text", "boolean", "null")

    @property
    def distinct(self) -> int | None:
        """Different values, without null; exact where `distinct_exact` says so, else about `distinct_error` off."""
        if not self.compared:
            return None
        return self.values if self._all_differ else min(self.cardinality.count, self.values)

    @property
    def distinct_exact(self) -> bool:
        """Whether `distinct` is exact."""
        return self.compared and (self.cardinality.exact or self._all_differ)

    @property
    def distinct_error(self) -> float:
        """The relative standard error of `distinct`."""
        return 0.0 if self._all_differ else self.cardinality.error

    @property
    def _all_differ(self) -> bool:
        """Whether values only rise, or only fall."""
        return self.order.strictly and self.order.word is not None

    @property
    def unique(self) -> bool | None:
        """Whether no value comes twice; None where there is no proof, but no repeated value was seen either."""
        if not self.compared or self.values == 0 or self.cardinality.repeats or self.nan:
            return False
        return True if self.distinct_exact else None

    @property
    def minimum(self) -> Any:
        """The least value, of a Python type."""
        return self.shown(self.lowest)

    @property
    def maximum(self) -> Any:
        """The greatest value, of a Python type."""
        return self.shown(self.highest)

    @property
    def mean(self) -> float | None:
        """Of finite numbers."""
        return _finite(self.moments.mean) if self.family == "number" and self.moments.count else None

    @property
    def sum(self) -> int | float | None:
        """Of finite numbers."""
        return self.moments.total if self.family == "number" and self.moments.count else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of finite numbers, as of a sample."""
        return _finite(self.moments.deviation) if self.family == "number" else None

    def quantile(self, fraction: float) -> Any:
        """The value at a fraction of all values, of a Python type; None where there are none, or they have no ranks."""
        return self.shown(self.ranks.quantile(fraction)) if self.family in ORDERED else None

    def length(self, fraction: float) -> float | None:
        """The same of the lengths of texts and lists."""
        return self.ranks.quantile(fraction) if self.family in ("text", "list") else None

    @property
    def meaning(self) -> str | None:
        """What texts stand for, where nine of ten do: integer, number, date, e-mail, uuid, url, ip, boolean."""
        return self.kinds.most_likely() if self.family == "text" else None

    def top(self, number: int = 10) -> list[Top]:
        """The values that come most."""
        return [Top(self.shown(each.value), each.least, each.most) for each in self.frequent.top(number)]

    def histogram(self, bins: int = 20) -> list[Bin]:
        """Equal parts from the least value to the greatest; counts are off by no more than twice `ranks.error`."""
        if self.family not in ORDERED or self.lowest is None:
            return []
        low, high = float(self.lowest), float(self.highest)
        if low == high or not math.isfinite(high - low):
            return [Bin(self.minimum, self.maximum, self.ranks.count)]
        edges = np.linspace(low, high, bins + 1)
        below = self.ranks.below(edges, strictly=True)
        counts = np.diff(np.concatenate(([0], below[1:-1], [self.ranks.count])))
        return [
            Bin(self.shown(float(edges[place])), self.shown(float(edges[place + 1])), int(count))
            for place, count in enumerate(counts)
        ]

    def shown(self, value: Any) -> Any:
        """A value as it is kept, as one of a Python type."""
        if value is None or self.family not in ORDERED or self.family == "number":
            return value
        try:
            return _moment(self.family, self.zone, value)
        except (OverflowError, ValueError):  # beyond what Python's dates can tell
            return value

    def merge(self, other: ColumnProfile) -> ColumnProfile:
        """Of the rows of both, the other ones after these.

        Raises:
            BadData: the types do not go together.
        """
        kind, family = self._joined(other)
        made = ColumnProfile(self.name, kind, family, self.zone or other.zone, self.precision)
        for name in _COUNTS:
            setattr(made, name, getattr(self, name) + getattr(other, name))
        lowest = [each.lowest for each in (self, other) if each.lowest is not None]
        highest = [each.highest for each in (self, other) if each.highest is not None]
        made.lowest, made.highest = min(lowest, default=None), max(highest, default=None)
        made.order = self.order.follow(other.order)
        for part in ("moments", "ranks", "cardinality", "frequent", "shapes", "kinds"):
            setattr(made, part, getattr(self, part).merge(getattr(other, part)))
        return made

    def _joined(self, other: ColumnProfile) -> tuple[str, str]:
        if self.type == other.type and self.zone == other.zone:
            return self.type, self.family
        for one, two in ((self, other), (other, self)):
            if one.family == "null":
                return two.type, two.family
        if self.family == other.family == "number":
            return next(each for each in ("float64", self.type, other.type) if each), "number"
        if self.family == other.family and self.zone == other.zone:
            return self.type, self.family
        raise BadData(
            f"The column {self.name} is {self.type} in one profile and {other.type} in the other.",
            hint="profiles of parts of one table can be merged; compare those of different tables with drift",
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what a merge needs."""
        made: dict[str, Any] = {"name": self.name, "type": self.type, "family": self.family, "zone": self.zone}
        made |= {name: getattr(self, name) for name in _COUNTS}
        made |= {"precision": list(self.precision), "minimum": self.lowest, "maximum": self.highest}
        order = self.order
        made["order"] = [order.first, order.last, order.rises, order.falls, order.strictly]
        for part in ("moments", "ranks", "cardinality", "frequent", "shapes", "kinds"):
            made[part] = getattr(self, part).as_dict()
        return made

    @classmethod
    def of_dict(cls, found: dict[str, Any]) -> ColumnProfile:
        """What `as_dict` gave."""
        precision = Precision(*map(int, found["precision"]))
        made = cls(str(found["name"]), str(found["type"]), str(found["family"]), found["zone"], precision)
        for name in _COUNTS:
            setattr(made, name, int(found[name]))
        made.lowest, made.highest = found["minimum"], found["maximum"]
        order = made.order
        order.first, order.last, order.rises, order.falls, order.strictly = found["order"]
        made.moments = Moments.of_dict(found["moments"])
        made.ranks = Ranks.of_dict(found["ranks"])
        made.cardinality = Cardinality.of_dict(found["cardinality"])
        made.frequent, made.shapes = Frequent.of_dict(found["frequent"]), Frequent.of_dict(found["shapes"])
        made.kinds = Kinds.of_dict(found["kinds"])
        return made


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _moment(family: str, zone: str | None, value: float) -> Any:
    if family == "date":
        return date.fromordinal(_FIRST_DAY + math.floor(value))
    if family == "duration":
        return timedelta(microseconds=round(value))
    moment = _EPOCH + timedelta(microseconds=round(value))
    if family == "time":
        return time(moment.hour, moment.minute, moment.second, moment.microsecond)
    return moment if zone is not None else moment.replace(tzinfo=None)
