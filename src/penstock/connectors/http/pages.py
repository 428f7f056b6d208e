"""How a server hands out a long list: each way tells which request comes next.

What is to be asked next is a small JSON value, the state, which becomes part of the position.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from penstock.connectors.http.messages import Ask, Within
from penstock.connectors.http.paths import MISSING, Path


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known when a page has been read.

    Attributes:
        records: how many this page had.
        so_far: how many all pages had, this one included.
        total: how many there are, if the server told. A total that is smaller than what came is not believed.
        body: what the answer says; None where it is no JSON.
        headers: of the answer, their names in lower case.
        url: where the answer came from, after redirects.
    """

    records: int
    so_far: int
    total: int | None
    body: Any
    headers: Mapping[str, str]
    url: str


class Pages(ABC):
    """A way of paging.

    Attributes:
        kind: its name in a position.
    """

    kind: ClassVar[str]

    def first(self) -> Any:
        """The state of the first page."""
        return None

    @abstractmethod
    def put(self, ask: Ask, state: Any) -> Ask:
        """The request for a page."""

    @abstractmethod
    def after(self, state: Any, seen: Seen) -> Any:
        """The state of the page after this one; MISSING where there is none."""

    def guess(self, state: Any, seen: Seen) -> Any:
        """What the state after this one will be, as far as it can be told before the page is read; else MISSING."""
        return MISSING

    def told(self, state: Any, number: int) -> str:
        """Names the page in messages."""
        return f"page {number}"

    def token(self, state: Any) -> str | None:
        """What never comes twice while one list is read; None where nothing of the kind is in the state."""
        return None

    @property
    def paths(self) -> dict[str, str]:
        """Paths into a JSON answer, by the names of their arguments."""
        return {}

    def mistakes(self) -> list[tuple[str, str]]:
        """What is wrong with it."""
        return paths_mistakes(self.paths)


def goes_on(more: str, seen: Seen) -> bool:
    """What the server itself says about it, where it was told where to look."""
    return not more or bool(Path(more).find(seen.body))


@dataclass(frozen=True)
class Single(Pages):
    """There is one page."""

    kind: ClassVar[str] = "single"

    def put(self, ask: Ask, state: Any) -> Ask:
        """See `Pages.put`."""
        return ask

    def after(self, state: Any, seen: Seen) -> Any:
        """See `Pages.after`."""
        return MISSING

    def told(self, state: Any, number: int) -> str:
        """See `Pages.told`."""
        return ""


@dataclass(frozen=True, kw_only=True)
class Page(Pages):
    """Numbered pages. The end is an empty page, unless the server tells earlier.

    A page that is short is not the end: many servers give less than they are asked for.

    Args:
        number: the parameter with the number.
        size: the parameter with the size, if there is one.
        per_page: how many records to ask for.
        start: the number of the first page.
        total_pages: path to how many pages there are.
        more: path to whether there are more.
        within: where the parameters go.
    """

    kind: ClassVar[str] = "page"
    number: str = "page"
    size: str = ""
    per_page: int | None = None
    start: int = 1
    total_pages: str = ""
    more: str = ""
    within: Within = "query"

    def first(self) -> Any:
        """See `Pages.first`."""
        return self.start

    def put(self, ask: Ask, state: Any) -> Ask:
        """See `Pages.put`."""
        if self.size:
            ask = ask.with_parameter(self.size, self.per_page, self.within)
        return ask.with_parameter(self.number, state, self.within)

    def after(self, state: Any, seen: Seen) -> Any:
        """See `Pages.after`."""
        last = self._last(seen)
        if not seen.records or seen.so_far == seen.total:
            return MISSING
        if (last is not None and state >= last) or not goes_on(self.more, seen):
            return MISSING
        return state + 1

    def guess(self, state: Any, seen: Seen) -> Any:
        """See `Pages.guess`."""
        last = self._last(seen)
        if last is None and seen.total is not None and seen.records:
            last = self.start - 1 + -(-seen.total // max(seen.records, self.per_page or 0))
        return state + 1 if last is not None and state < last else MISSING

    def _last(self, seen: Seen) -> int | None:
        told = Path(self.total_pages).find(seen.body) if self.total_pages else MISSING
        return self.start - 1 + told if isinstance(told, int) and not isinstance(told, bool) else None

    def told(self, state: Any, number: int) -> str:
        """See `Pages.told`."""
        return f"{self.number}={state}"

    @property
    def paths(self) -> dict[str, str]:
        """See `Pages.paths`."""
        return {"total_pages": self.total_pages, "more": self.more}

    def mistakes(self) -> list[tuple[str, str]]:
        """See `Pages.mistakes`."""
        found = names_mistakes({"number": self.number}, self.within) + super().mistakes()
        if bool(self.size) != (self.per_page is not None):
            found.append(("pages.size", "goes with per_page: the name of the parameter, and its value"))
        elif self.per_page is not None and self.per_page < 1:
            found.append(("pages.per_page", f"is at least 1, not {self.per_page}"))
        return found


@dataclass(frozen=True, kw_only=True)
class Offset(Pages):
    """Records from a place on. The end is an empty page, unless the server tells earlier.

    The next place is after the records that came, not after those that were asked for: a server that gives less than
    it is asked for loses nothing.

    Args:
        offset: the parameter with the place.
        limit: the parameter with how many; empty where there is none.
        per_page: how many records to ask for.
        start: the place of the first record.
        more: path to whether there are more.
        within: where the parameters go.
    """

    kind: ClassVar[str] = "offset"
    offset: str = "offset"
    limit: str = "limit"
    per_page: int = 100
    start: int = 0
    more: str = ""
    within: Within = "query"

    def first(self) -> Any:
        """See `Pages.first`."""
        return self.start

    def put(self, ask: Ask, state: Any) -> Ask:
        """See `Pages.put`."""
        if self.limit:
            ask = ask.with_parameter(self.limit, self.per_page, self.within)
        return ask.with_parameter(self.offset, state, self.within)

    def after(self, state: Any, seen: Seen) -> Any:
        """See `Pages.after`."""
        if not seen.records or seen.so_far == seen.total:
            return MISSING
        return state + seen.records if goes_on(self.more, seen) else MISSING

    def guess(self, state: Any, seen: Seen) -> Any:
        """See `Pages.guess`."""
        following = state + (seen.records or self.per_page)
        return following if seen.total is not None and following - self.start < seen.total else MISSING

    def told(self, state: Any, number: int) -> str:
        """See `Pages.told`."""
        return f"{self.offset}={state}"

    @property
    def paths(self) -> dict[str, str]:
        """See `Pages.paths`."""
        return {"more": self.more}

    def mistakes(self) -> list[tuple[str, str]]:
        """See `Pages.mistakes`."""
        found = names_mistakes({"offset": self.offset}, self.within) + super().mistakes()
        if self.limit and self.per_page < 1:
            found.append(("pages.per_page", f"is at least 1, not {self.per_page}"))
        return found


def names_mistakes(parameters: Mapping[str, str], within: str) -> list[tuple[str, str]]:
    """What is wrong with the names of parameters."""
    found = [(f"pages.{name}", "has no name") for name, value in parameters.items() if not value]
    if within not in ("query", "body"):
        found.append(("pages.within", f"is 'query' or 'body', not {within!r}"))
    return found + (paths_mistakes(parameters) if within == "body" else [])


def paths_mistakes(paths: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is wrong with paths."""
    found = []
    for name, text in paths.items():
        try:
            Path(text)
        except ValueError as error:
            found.append((f"pages.{name}", str(error)))
    return found
