"""Lists whose every page says where the next one is: a cursor, or a URL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar
from urllib.parse import urljoin

from penstock.connectors.http.links import links
from penstock.connectors.http.messages import Ask, Within
from penstock.connectors.http.pages import Pages, Seen, goes_on, names_mistakes
from penstock.connectors.http.paths import MISSING, Path
from penstock.core.errors import SourceUnavailable


@dataclass(frozen=True, kw_only=True)
class Cursor(Pages):
    """Each answer says where to go on, and the next request says it back.

    The end is an answer that says nothing, null, an empty text or false.

    Args:
        parameter: takes the cursor back.
        path: where the cursor is in an answer; `data.items[-1].id` for the last record's own.
        header: the header that holds it, instead of a path.
        more: path to whether there are more, where a cursor comes with the last page too.
        start: the cursor of the first page; the first request has none when left out.
        within: where the parameter goes; in a JSON body it is a path, such as `variables.after`.
    """

    kind: ClassVar[str] = "cursor"
    parameter: str = "cursor"
    path: str = ""
    header: str = ""
    more: str = ""
    start: Any = None
    within: Within = "query"

    def first(self) -> Any:
        """See `Pages.first`."""
        return self.start

    def put(self, ask: Ask, state: Any) -> Ask:
        """See `Pages.put`."""
        return ask if state is None else ask.with_parameter(self.parameter, state, self.within)

    def after(self, state: Any, seen: Seen) -> Any:
        """See `Pages.after`."""
        found = seen.headers.get(self.header.lower(), "") if self.header else Path(self.path).find(seen.body)
        if _is_nothing(found) or not goes_on(self.more, seen):
            return MISSING
        if self.within == "query" and isinstance(found, (dict, list)):
            raise SourceUnavailable(
                f"The cursor at {self.path} is an object or an array, which a query cannot hold.",
                hint="is the path right? A cursor of several values can go into the body of a POST: within='body'",
            )
        return found

    def token(self, state: Any) -> str | None:
        """See `Pages.token`."""
        return None if state is None else repr(state)

    @property
    def paths(self) -> dict[str, str]:
        """See `Pages.paths`."""
        return {"path": self.path, "more": self.more}

    def mistakes(self) -> list[tuple[str, str]]:
        """See `Pages.mistakes`."""
        found = names_mistakes({"parameter": self.parameter}, self.within) + super().mistakes()
        if bool(self.path) == bool(self.header):
            found.append(("pages", "Cursor needs a path or a header where the next cursor is, and not both"))
        return found


class _Urls(Pages):
    """The server gives the whole URL of the next page."""

    def put(self, ask: Ask, state: Any) -> Ask:
        """See `Pages.put`."""
        return ask if state is None else replace(ask, url=state, query=())

    def token(self, state: Any) -> str | None:
        """See `Pages.token`."""
        return state  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True)
class LinkHeader(_Urls):
    """The header `Link` has the URL of the next page (RFC 8288). The end is an answer without one.

    Args:
        rel: what the link is called.
    """

    kind: ClassVar[str] = "link"
    rel: str = "next"

    def after(self, state: Any, seen: Seen) -> Any:
        """See `Pages.after`."""
        found = links(seen.headers.get("link", "")).get(self.rel.lower())
        return urljoin(seen.url, found) if found else MISSING


@dataclass(frozen=True)
class NextUrl(_Urls):
    """The answer has the URL of the next page. The end is an answer without one, or with null.

    Args:
        path: where; the URL may be relative to that of the answer.
    """

    kind: ClassVar[str] = "url"
    path: str = "next"

    def after(self, state: Any, seen: Seen) -> Any:
        """See `Pages.after`."""
        found = Path(self.path).find(seen.body)
        if _is_nothing(found):
            return MISSING
        if not isinstance(found, str):
            raise SourceUnavailable(f"What is at {self.path} is no URL.", hint="is the path right?")
        return urljoin(seen.url, found)

    @property
    def paths(self) -> dict[str, str]:
        """See `Pages.paths`."""
        return {"path": self.path}


def _is_nothing(found: Any) -> bool:
    """No cursor, and no URL. 0 is one."""
    return found is MISSING or found is None or found is False or found == ""
