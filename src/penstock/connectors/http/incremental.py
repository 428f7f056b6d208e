"""Reading only what has changed since the last time: a parameter of the request, and a column of the records."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, TypeAlias

import msgspec

from penstock.connectors.http.messages import Ask, Within, digest
from penstock.connectors.http.paths import MISSING, Path, outline
from penstock.core.clock import now_us
from penstock.core.errors import BadData, ConfigurationError

Order: TypeAlias = "int | float | str"
Kind = Literal["time", "number", "text"]

_DAY_US = 86_400_000_000
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_PLAIN = re.compile(r"[\w.:-]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Incremental:
    """Ask for what has changed since the last time.

    The next time begins where the largest value of the column was, less the lookback, once the whole list has been
    read. Records that come a second time because of that are recognised by their key and the value of the column, and
    left out.

    Args:
        parameter: takes the value from which on to read.
        column: path to it in a record: a time, a number, or a text that sorts.
        start: where to begin the first time; from the very beginning when left out.
        lookback: how much to go back, for records that become visible late: a timedelta, or a number where the column
            is a number.
        key: columns that tell records apart; whole records are compared when left out.
        format: how times are written, where it is not ISO 8601: as for `strftime`, or `unix` or `unix_ms` where the
            parameter takes a number.
        within: where the parameter goes.
        remember: how many records of the lookback are recognised at most.
    """

    parameter: str
    column: str
    start: datetime | date | float | str | None = None
    lookback: timedelta | float | None = None
    key: str | Sequence[str] = ()
    format: str = ""
    within: Within = "query"
    remember: int = 100_000

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that tell records apart."""
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)

    @property
    def first(self) -> Any:
        """The start as a JSON value."""
        if isinstance(self.start, datetime):
            return (self.start if self.start.tzinfo else self.start.replace(tzinfo=UTC)).isoformat()
        return self.start.isoformat() if isinstance(self.start, date) else self.start

    def put(self, ask: Ask, since: Any) -> Ask:
        """The request for what comes after a value."""
        return ask if since is None else ask.with_parameter(self.parameter, self._asked(since), self.within)

    def _asked(self, since: Any) -> Any:
        moment = self._moment(since) if isinstance(since, str) else None
        if moment is None:
            return since - self._back(since) if isinstance(since, (int, float)) else since
        if isinstance(self.lookback, timedelta):
            moment -= self.lookback
        elif not self.format:
            return since
        return self._written(moment, since)

    def _written(self, moment: datetime, like: str) -> Any:
        if self.format in ("unix", "unix_ms"):
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            past = (aware - _EPOCH) // timedelta(milliseconds=1)
            return past if self.format == "unix_ms" else past // 1000
        if self.format:
            return (moment.astimezone(UTC) if moment.tzinfo else moment).strftime(self.format)
        if len(like) == 10:
            return moment.date().isoformat()
        text = moment.isoformat(sep=like[10])
        return f"{text.removesuffix('+00:00')}Z" if like[-1] in "zZ" else text

    def _back(self, since: float) -> float:
        """The lookback as a number: of the same unit as the times are, where these are numbers."""
        if not isinstance(self.lookback, timedelta):
            return self.lookback or 0
        seconds = self.lookback.total_seconds()
        return round(seconds * 1000) if abs(since) > 100_000_000_000 else round(seconds)

    def _moment(self, value: str) -> datetime | None:
        if self.format and not self.format.startswith("unix"):
            try:
                return datetime.strptime(value, self.format)
            except ValueError:
                pass
        if not _DATE.match(value):
            return None
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None

    def order(self, value: Any) -> tuple[Kind, Order] | None:
        """What a value is, and what it sorts by; None where it is nothing that sorts."""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return ("number", value) if value == value else None
        if not isinstance(value, str):
            return None
        moment = self._moment(value)
        if moment is not None:
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return "time", (aware - _EPOCH) // timedelta(microseconds=1)
        return ("text", value) if _PLAIN.fullmatch(value) else None

    def floor(self, high: Any) -> Order | None:
        """What will be asked for when this is the largest value: perhaps less, where the parameter is coarser."""
        asked = self._asked(high)
        found = self.order(asked)
        if found is None:
            return None
        if isinstance(high, str) and found[0] == "number":
            return int(asked) * (1000 if self.format == "unix_ms" else 1_000_000)
        return found[1]

    def mistakes(self) -> list[tuple[str, str]]:
        """What is wrong with it."""
        found = [(f"since.{name}", "has no name") for name in ("parameter", "column") if not getattr(self, name)]
        for name, text in [("column", self.column), *(("key", key) for key in self.keys)]:
            try:
                Path(text)
            except ValueError as error:
                found.append((f"since.{name}", str(error)))
        if self.within not in ("query", "body"):
            found.append(("since.within", f"is 'query' or 'body', not {self.within!r}"))
        if self.remember < 0:
            found.append(("since.remember", "cannot be less than 0"))
        back = self.lookback
        if back is not None and (back < timedelta(0) if isinstance(back, timedelta) else back < 0):
            found.append(("since.lookback", "cannot be less than 0"))
        if isinstance(self.start, (datetime, date)) and isinstance(back, (int, float)):
            found.append(("since.lookback", "of times is a timedelta"))
        return found


class Window:
    """What one reading of a list knows: how far it has come, and which records were seen near there.

    Args:
        since: the rule.
        known: what `remembered` gave when the list was read to its end the last time.
        kept: what `kept` gave in the middle of this reading.
    """

    def __init__(self, since: Incremental, known: Mapping[str, Any], kept: Mapping[str, Any] | None) -> None:
        self._rule = since
        self._column = Path(since.column)
        self._keys = [Path(key) for key in since.keys]
        self.value = known.get("since", since.first)
        self._before = _unpacked(known.get("seen", ""))
        kept = kept or {}
        self._high: Any = kept.get("high", known.get("since"))
        self._order = since.order(self._high)
        self._near: dict[bytes, Order] = {}
        if self._order is not None:
            self._near = dict.fromkeys(_unpacked(kept.get("near", known.get("seen", ""))), self._order[1])
        self._valued = bool(kept.get("valued"))
        self.strange = 0

    def sift(self, records: Sequence[dict[str, Any]], page: str) -> list[dict[str, Any]]:
        """The records that have not come before.

        Raises:
            BadData: none of them has the column, or its values cannot be put in an order.
            ConfigurationError: the lookback is none for such values.
        """
        if not records:
            return []
        orders = [self._rule.order(self._column.find(record)) for record in records]
        self._look(records, orders, page)
        floor = None if self._order is None else self._rule.floor(self._high)
        fresh = []
        for record, order in zip(records, orders, strict=True):
            near = self._order is not None and order is not None and order[0] == self._order[0]
            near = near and (floor is None or order[1] >= floor)  # type: ignore[index,operator]
            if not near and not self._before:
                fresh.append(record)
                continue
            name = self._name(record)
            if name not in self._before:
                fresh.append(record)
            if near and order is not None:
                self._near[name] = order[1]
        self._forget(floor, page)
        return fresh

    def _look(self, records: Sequence[dict[str, Any]], orders: list[tuple[Kind, Order] | None], page: str) -> None:
        """Find the largest value; what lies in the future is no value to go on from."""
        tomorrow = now_us() + _DAY_US
        for record, order in zip(records, orders, strict=True):
            if order is None:
                continue
            self._valued = True
            if order[0] == "time" and order[1] > tomorrow:  # type: ignore[operator]
                self.strange += 1
            elif self._order is None or (order[0] == self._order[0] and order[1] > self._order[1]):  # type: ignore[operator]
                self._high, self._order = self._column.find(record), order
            elif order[0] != self._order[0]:
                self.strange += 1
        if self._order is not None and self._order[0] == "time" and isinstance(self._rule.lookback, (int, float)):
            raise ConfigurationError(
                f"{self._rule.column} is a time, and since.lookback a number.", hint="give a timedelta"
            )
        if not self._valued:
            example = self._column.find(records[0])
            said = "is nowhere" if example is MISSING else f"is {outline(example)}, and nothing that sorts"
            raise BadData(
                f"{page}: {self._rule.column} {said}, so that the next reading would not know where to begin.",
                hint=f"check column= (the first record is {outline(records[0])}), and format= if it is a time",
            )

    def _forget(self, floor: Order | None, page: str) -> None:
        if floor is not None:
            self._near = {name: order for name, order in self._near.items() if order >= floor}  # type: ignore[operator]
        if len(self._near) > self._rule.remember > 0:
            raise BadData(
                f"{page}: more than {self._rule.remember:,} records lie within the lookback, too many to recognise.",
                hint="shorten lookback=, raise remember=, or say remember=0 where the sink merges by key",
            )
        if not self._rule.remember:
            self._near.clear()

    def _name(self, record: dict[str, Any]) -> bytes:
        keyed = [*(path.find(record) for path in self._keys), self._column.find(record)] if self._keys else record
        try:
            content = msgspec.json.encode(keyed, order="deterministic", enc_hook=str)
        except (UnicodeEncodeError, RecursionError):
            content = repr(keyed).encode("utf-8", "surrogatepass")
        return bytes.fromhex(digest(content))

    def kept(self) -> dict[str, Any]:
        """For a position in the middle of the list."""
        return {"high": self._high, "near": _packed(self._near), "valued": self._valued}

    def remembered(self) -> dict[str, Any]:
        """For the position at the end of the list."""
        if self._order is None:
            return {"since": self.value, "seen": ""}
        return {"since": self._high, "seen": _packed(self._near)}


def _packed(names: Iterable[bytes]) -> str:
    return base64.b64encode(b"".join(sorted(names))).decode()


def _unpacked(text: str) -> frozenset[bytes]:
    content = base64.b64decode(text)
    return frozenset(content[at : at + 8] for at in range(0, len(content), 8))
