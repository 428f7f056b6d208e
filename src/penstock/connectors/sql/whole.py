"""Reading all rows of a table: in the order of its key, so that it can be taken up again, and in several spans at once.

A position has the spans; each one has where it begins and ends, and the key of the last row that was handed out.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any

from penstock.connectors.sql.systems import Ask, Page, Shape, System
from penstock.core.errors import BadData, ConfigurationError
from penstock.core.ports.data import Batch, Part, Position

_LOOK_SECONDS = 0.2


class Whole:
    """All rows.

    Args:
        system: the database.
        shape: what is read.
        position: where to go on; None for the beginning.
        partitions: how many spans are read at once.
        rows: how many rows make a batch.
        size: how many bytes do.
    """

    def __init__(
        self, system: System, shape: Shape, position: Position | None, partitions: int, rows: int, size: int
    ) -> None:
        self._system, self._shape, self._rows, self._size = system, shape, rows, size
        self._spans = self._cut(partitions) if position is None else _known(position)

    def batches(self) -> Generator[Batch, None, None]:
        """The rows from there on."""
        pages = self._alone(0) if len(self._spans) == 1 else self._together()
        for number, page in pages:
            if page is None:
                self._spans[number]["done"] = True
                continue
            span = self._spans[number]
            span["rows"] += page.count
            span["after"] = page.last
            parts = (Part(page.rows),) if page.rows.num_rows else ()
            yield Batch(parts, self.position, page.rejected, size=page.size)

    @property
    def position(self) -> Position:
        """Where to go on after what was handed out."""
        return {"spans": [dict(span) for span in self._spans]}

    def _cut(self, partitions: int) -> list[dict[str, Any]]:
        """Spans of the first column of the key."""
        ends = None
        if partitions > 1:
            key = self._shape.key[:1]
            if not key or key[0] not in self._shape.numbers:
                raise ConfigurationError(
                    f"partitions={partitions} needs a key that is a whole number, and {self._system.place} has none.",
                    hint="name a column: key=..., or read it with partitions=1",
                )
            ends = self._system.ends(key[0])
        if ends is None:
            return [_span(None, None)]
        least, most = ends
        cuts = sorted({least + (most - least + 1) * number // partitions for number in range(1, partitions)} - {least})
        return [_span(low, high) for low, high in zip([None, *cuts], [*cuts, None], strict=True)]

    def _ask(self, span: dict[str, Any]) -> Ask:
        key = self._shape.key
        between = (key[0], span["from"], span["to"]) if key else None
        return Ask(key, span["after"], span=between, skip=0 if key else span["rows"])

    def _pages(self, number: int) -> Iterator[Page]:
        return self._system.pages(self._ask(self._spans[number]), rows=self._rows, size=self._size)

    def _alone(self, number: int) -> Iterator[tuple[int, Page | None]]:
        for page in self._pages(number):
            yield number, page
        yield number, None

    def _together(self) -> Iterator[tuple[int, Page | None]]:
        """Spans that are read by a thread each; one page of each is read ahead."""
        ready: queue.Queue[tuple[int, Page | BaseException | None]] = queue.Queue(1)
        over = threading.Event()

        def put(number: int, item: Page | BaseException | None) -> None:
            while not over.is_set():
                try:
                    return ready.put((number, item), timeout=_LOOK_SECONDS)
                except queue.Full:
                    continue

        def read(number: int) -> None:
            pages = self._pages(number)
            try:
                for page in pages:
                    put(number, page)
                    if over.is_set():
                        return
                put(number, None)
            except BaseException as error:
                put(number, error)
            finally:
                getattr(pages, "close", lambda: None)()

        # What was done stays done, but for the last span, which has no end: more may have come.
        left = [number for number, span in enumerate(self._spans) if not span["done"] or span["to"] is None]
        threads = [threading.Thread(target=read, args=(number,), name="penstock-sql", daemon=True) for number in left]
        for thread in threads:
            thread.start()
        try:
            for _ in left:
                while True:
                    number, item = ready.get()
                    if isinstance(item, BaseException):
                        raise item
                    yield number, item
                    if item is None:
                        break
        finally:
            over.set()
            for thread in threads:
                thread.join()


def _span(low: int | None, high: int | None) -> dict[str, Any]:
    return {"from": low, "to": high, "after": None, "rows": 0, "done": False}


def _known(position: Position) -> list[dict[str, Any]]:
    spans = position.get("spans")
    if not isinstance(spans, list) or not spans:
        raise BadData(
            "The position in the sink is of another kind of reading.",
            hint="give the pipe another name, or restart it: restart=True reads everything again",
        )
    return [dict(span) for span in spans]
