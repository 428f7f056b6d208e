"""One reading of a source: list after list, from a position on.

A position is JSON of this shape:

    {"rounds": {NAME: MEMORY, ...}, "now": {"round": NAME, ...PROGRESS}}

A round is one set of parameters, and makes one list. MEMORY is what is known since that was read to its end: how far it
came (`since`, `seen`), what the server called that edition (`etag`, `modified`), what it looked like (`content`), how
long it was (`mark`), or only that it is `done`. PROGRESS is there in the middle of a reading: the next page (`state`),
how many records there were, and what watches over paging. Between two rounds, `now` is `{"after": NAME}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.connectors.http.fetching import Fetcher
from penstock.connectors.http.json_pages import JsonPage
from penstock.connectors.http.lists import Listing
from penstock.connectors.http.pace import logger
from penstock.connectors.http.rules import Rules
from penstock.connectors.http.shaping import Heap
from penstock.core.errors import SourceChanged
from penstock.core.ports.data import Batch, Position


class Reading:
    """Reads what comes after a position.

    Args:
        rules: what to read.
        fetcher: what to ask with.
        position: see above.
        place: names the source in messages.
    """

    def __init__(self, rules: Rules, fetcher: Fetcher, position: Position | None, place: str) -> None:
        self._rules, self._fetcher, self._place = rules, fetcher, place
        self._asks = rules.asks()
        self._rounds: dict[str, Any] = dict(position.get("rounds", {})) if position else {}
        self._now: dict[str, Any] | None = dict(position["now"]) if position and "now" in position else None
        self._heap = Heap(rules.batch_rows, rules.types, rules.nested, rules.format == "csv")

    def batches(self, probed: JsonPage | None = None) -> Iterator[Batch]:
        """See `Source.batches`.

        Args:
            probed: the first page of the first round, where it was fetched already.
        """
        asked = False
        for name in self._left():
            listing = self._listing(name)
            if listing is None:
                continue
            asked = True
            for _ in listing.read(probed):
                self._note(name, listing)
                if self._heap.full:
                    yield self._heap.batch(self._position(), self._place)
            self._note(name, listing)
            probed = None
        if not asked:
            logger().info("%s: was read to its end before, and nothing tells what is new since then", self._place)
        self._now = None
        self._rounds = {name: memory for name, memory in self._rounds.items() if name in self._asks}
        yield self._heap.batch(self._position(), self._place, last=True)

    def first(self) -> Listing | None:
        """The first list that is left to read, if it is to be read from its beginning."""
        names = self._left()
        return self._listing(names[0]) if names and self._now is None else None

    def _listing(self, name: str) -> Listing | None:
        memory = self._rounds.get(name, {})
        here = self._now is not None and self._now.get("round") == name
        if not here and memory.get("done") and not self._rules.again and self._rules.since is None:
            return None
        return Listing(self._rules, self._fetcher, self._asks[name], memory, self._now if here else None, self._heap)

    def _left(self) -> list[str]:
        """The rounds that are left."""
        names = list(self._asks)
        if self._now is None:
            return names
        here = self._now.get("round", self._now.get("after"))
        if here not in names or self._now.get("pages", self._rules.pages.kind) != self._rules.pages.kind:
            raise SourceChanged(
                f"{self._place}: the parameters or the paging are not those with which this reading began.",
                hint="put them back until it has come to its end, or begin anew with ingest(..., restart=True)",
            )
        return names[names.index(here) + ("after" in self._now) :]

    def _note(self, name: str, listing: Listing) -> None:
        if listing.progress is None:
            self._rounds[name] = listing.memory
            self._now = {"after": name}
        else:
            self._now = {"round": name, **listing.progress}

    def _position(self) -> dict[str, Any]:
        position: dict[str, Any] = {"rounds": dict(self._rounds)}
        return position if self._now is None else {**position, "now": self._now}
