"""Who came, how often, and in how many visits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from penstock.processing.logs.addresses import texts_of_numbers
from penstock.processing.logs.extras import Array, Frame, np, pl
from penstock.processing.logs.tally import MOST_KEYS, Tally

PAUSE = 1800
"""After so many seconds a client's next request begins a new session."""


class Visits(Tally):
    """Adds up numbers by client, and counts sessions: visits with no break longer than `pause` seconds.

    A row stands for one visit or more, from `first` to `last`.

    Args:
        ways: as of a tally; those of `sessions`, `first` and `last` are known.
        pause: seconds.
        key: the column that tells clients apart.
        most: clients that are kept; None for all.
    """

    def __init__(
        self, ways: Mapping[str, str], pause: int = PAUSE, *, key: str = "client", most: int | None = MOST_KEYS
    ) -> None:
        super().__init__([key], {**ways, "sessions": "sum", "first": "min", "last": "max"}, most=most)
        self._pause = pause

    def _merged(self, frame: Frame) -> Frame:
        key, names = self._keys[0], frame.columns
        frame, new = _ordered(frame, key, "first")
        columns = {name: frame[name].to_numpy() for name in self._ways}
        columns["sessions"] = columns["sessions"] - self._goes_on(columns, new)
        begins = np.flatnonzero(new)
        adders = {"sum": np.add, "min": np.minimum, "max": np.maximum}
        merged = [adders[way].reduceat(columns[name], begins) for name, way in self._ways.items()]
        found = pl.DataFrame(dict(zip(self._ways, merged, strict=True)))
        return found.with_columns(frame[key].gather(begins).alias(key)).select(names)

    def _goes_on(self, columns: Mapping[str, Array], new: Array) -> Array:
        """Where a row begins within a pause of the row before it, or of a visit before that."""
        first, last = columns["first"], columns["last"]
        level = np.cumsum(new) * (int(last.max()) - int(first.min()) + 1)
        visits = np.where(columns["sessions"] == 1, last, first)  # between several visits are pauses
        reached = np.maximum(np.maximum.accumulate(visits + level) - level, last)
        found = np.zeros(len(first), bool)
        found[1:] = ~new[1:] & (first[1:] - reached[:-1] <= self._pause)
        return found


def visits_of(frame: Frame, key: str) -> Frame:
    """Requests put together to visits.

    Args:
        frame: `key`, `at` and what is to be added up, of each request.
        key: the column that tells clients apart.
    """
    frame, new = _ordered(frame, key, "at")
    at = frame["at"].to_numpy()
    new[1:] |= at[1:] - at[:-1] > PAUSE
    begins = np.flatnonzero(new)
    sums = {name: np.add.reduceat(frame[name].to_numpy(), begins) for name in frame.columns if name not in (key, "at")}
    last = at[np.append(begins[1:], len(at)) - 1]
    return pl.DataFrame(
        {key: frame[key].gather(begins), **sums, "sessions": np.ones_like(last), "first": at[begins], "last": last}
    )


def _ordered(frame: Frame, key: str, time: str) -> tuple[Frame, Array]:
    """By client, and then by time; and where a client begins. Quick where most of it is in that order already."""
    if frame[key].dtype == pl.Binary:
        frame = frame.sort(key, time)
        return frame, (frame[key] != frame[key].shift(1)).fill_null(True).to_numpy(writable=True)
    values, at = frame[key].to_numpy(), frame[time].to_numpy()
    order = np.argsort(values, kind="stable")
    new = _changes(values[order])
    times = at[order]
    if bool((~new[1:] & (times[1:] < times[:-1])).any()):
        order = np.lexsort((at, values))
    return frame[order], new


def _changes(values: Array) -> Array:
    new = np.ones(len(values), bool)
    new[1:] = values[1:] != values[:-1]
    return new


class Clients:
    """Those whose addresses are numbers and the others, as one.

    Args:
        addresses: the former; `number` tells them apart.
        names: the latter; `client` tells them apart.
    """

    def __init__(self, addresses: Visits, names: Visits) -> None:
        self._all = (addresses, names)

    def frame(self) -> Frame | None:
        """One row for each client; None where nothing was counted."""
        numbered, named = (each.frame() for each in self._all)
        if numbered is None:
            return named
        texts = texts_of_numbers(numbered["number"].to_numpy()).alias("client")
        numbered = numbered.select(texts, pl.all().exclude("number"))
        return numbered if named is None else pl.concat([numbered, named.select(numbered.columns)])

    @property
    def exact(self) -> bool:
        """Nothing was forgotten."""
        return all(each.exact for each in self._all)

    @property
    def forgotten(self) -> int:
        """As of a tally."""
        return max(each.forgotten for each in self._all)

    @property
    def lost(self) -> Counter[str]:
        """As of a tally."""
        return sum((each.lost for each in self._all), Counter[str]())

    @property
    def seen(self) -> int:
        """There are at least so many clients."""
        return sum(each.seen for each in self._all)
