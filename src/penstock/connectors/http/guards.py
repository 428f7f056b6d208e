"""Tells a list that never ends from one that is long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from penstock.connectors.http.messages import digest
from penstock.core.errors import SourceUnavailable

Repeated = Literal["error", "end", "allow"]

_EMPTY_MOST = 1000


class Guard:
    """Watches the pages of one list, and needs the same few bytes however many there are.

    A cursor or URL that comes back is found by Brent's way of finding cycles: each is compared with one that is kept,
    and the one that is kept moves on after 1, 2, 4, 8, ... pages. So a cycle of any length is found, in another process
    too, before it has been gone through three times.

    Args:
        kept: what `kept` gave, perhaps in another process.
        most: how many pages there may be.
        repeated: what a page means that has the records of the page before it.
    """

    def __init__(self, kept: Mapping[str, Any] | None, most: int, repeated: Repeated) -> None:
        kept = kept or {}
        self._most, self._repeated = most, repeated
        self.pages: int = kept.get("pages", 0)
        self._mark: str = kept.get("mark", "")
        self._steps: int = kept.get("steps", 0)
        self._power: int = kept.get("power", 1)
        self._content: str = kept.get("content", "")
        self._empty: int = kept.get("empty", 0)

    def kept(self) -> dict[str, Any]:
        """For the position."""
        return {
            "pages": self.pages,
            "mark": self._mark,
            "steps": self._steps,
            "power": self._power,
            "content": self._content,
            "empty": self._empty,
        }

    def read(self, page: str, content: bytes | None) -> bool:
        """A page was read; False where it is to be taken for the end.

        Args:
            page: its name.
            content: its records; None where it had none.

        Raises:
            SourceUnavailable: this would never end.
        """
        self.pages += 1
        if content is None:
            self._empty += 1
            if self._empty > _EMPTY_MOST:
                raise SourceUnavailable(
                    f"{page}: {_EMPTY_MOST} pages without a record came one after another, and there are still more.",
                    hint="check the parameters and the paging",
                )
            return True
        self._empty = 0
        before, self._content = self._content, digest(content)
        if self._content != before or self._repeated == "allow":
            return True
        if self._repeated == "end":
            return False
        raise SourceUnavailable(
            f"{page}: has the same records as the page before it, so that paging would never end.",
            hint="check the names of the paging parameters: a server gives the same page again where it does not know "
            "them. If it does so after the last page, say repeated='end'; if it may really happen, repeated='allow'",
        )

    def next(self, page: str, token: str | None) -> None:
        """There is a page to read after the one that was read.

        Raises:
            SourceUnavailable: it has been read already, or there are too many.
        """
        if self.pages >= self._most:
            raise SourceUnavailable(
                f"{page}: {self.pages:,} pages were read, and there are still more (max_pages={self._most}).",
                hint="if there really are so many, raise max_pages: it goes on from here",
            )
        if token is None:
            return
        this = digest(token.encode("utf-8", "surrogatepass"))
        if this == self._mark:
            raise SourceUnavailable(
                f"{page}: leads back to a page that was read already, so that paging would never end.",
                hint="check the paging; if it is right, the server has a fault",
            )
        self._steps += 1
        if self._steps == self._power:
            self._mark, self._steps, self._power = this, 0, self._power * 2
