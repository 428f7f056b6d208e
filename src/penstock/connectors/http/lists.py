"""One list, page after page, from wherever it was left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, NoReturn

import msgspec

from penstock.connectors.http.ahead import Ahead
from penstock.connectors.http.answers import Answer
from penstock.connectors.http.fetching import Fetcher, Refused
from penstock.connectors.http.guards import Guard
from penstock.connectors.http.incremental import Window
from penstock.connectors.http.json_pages import JsonPage, read_page
from penstock.connectors.http.messages import Ask, digest
from penstock.connectors.http.pace import logger
from penstock.connectors.http.pages import Seen
from penstock.connectors.http.paths import MISSING, Path
from penstock.connectors.http.retries import Again
from penstock.connectors.http.rules import Rules
from penstock.connectors.http.shaping import Heap
from penstock.connectors.http.streams import Chunk, Differs, read_csv, read_ndjson
from penstock.core.errors import SourceChanged

_GONE = (400, 404, 410, 422)


class Listing:
    """Reads a list to its end.

    Args:
        rules: what to read.
        fetcher: what to ask with.
        ask: the first request, without paging.
        memory: what is known since the list was read to its end the last time; see `penstock.connectors.http.reading`.
        progress: where this reading of it goes on; None at its beginning.
        heap: takes the records.

    Attributes:
        memory: what to remember, once it has been read to its end.
        progress: where to go on; None at the end.
    """

    def __init__(
        self,
        rules: Rules,
        fetcher: Fetcher,
        ask: Ask,
        memory: Mapping[str, Any],
        progress: Mapping[str, Any] | None,
        heap: Heap,
    ) -> None:
        self._rules, self._fetcher, self._heap = rules, fetcher, heap
        self.memory, self.progress = memory, progress
        self._resumed = progress is not None
        before = progress or {}
        self._window = Window(rules.since, memory, before.get("window")) if rules.since is not None else None
        if self._window is not None and rules.since is not None:
            ask = rules.since.put(ask, self._window.value)
        self._ask = ask
        self._guard = Guard(before.get("guard"), rules.max_pages, rules.repeated)
        self._state = before.get("state", rules.pages.first())
        self._records: int = before.get("records", 0)
        self._mark: dict[str, Any] | None = before.get("mark")
        self._rows: int = before.get("rows", 0)
        self._total: int | None = None
        self._again_the_same = self._went_on = False

    def read(self, probed: JsonPage | None = None) -> Iterator[None]:
        """Put the records on the heap, step by step; after each step `progress` and `memory` are right.

        Args:
            probed: the first page, where it was fetched already.
        """
        return self._paged(probed) if self._rules.format == "json" else self._streamed()

    def first_page(self) -> JsonPage:
        """The first page of JSON, which is fetched only if it is not what it was."""
        return self._fetch(self._state, self._guard.pages + 1, conditional=not self._resumed)

    def seen(self, page: JsonPage) -> Seen:
        """What a page says about the list."""
        count, total = len(page.records) + len(page.rejected), self._told(page.headers, page.body)
        return Seen(count, self._records + count, total, page.body, page.headers, page.url)

    def _paged(self, page: JsonPage | None) -> Iterator[None]:
        with closing(Ahead(self._fetch, self._fetcher.threads, self._rules.ahead)) as ahead:
            page = page or self._patiently(self.first_page)
            while not page.unchanged:
                state, seen, content = self._state, self.seen(page), _content(page)
                name = self._asked(state, self._guard.pages + 1).name
                following = self._after(name, seen, content)
                if following is MISSING and not self._resumed and self._is_known(content):
                    break
                ahead.plan(state, self._guard.pages, lambda known, seen=seen: self._guess(known, seen))  # type: ignore[misc]
                if not self._again_the_same:
                    self._take(page.records, page.rejected, page.size, name)
                    self._records = seen.so_far
                self._move(following, page.headers, {"content": digest(content or b"")})
                yield
                if following is MISSING:
                    return
                page = self._patiently(lambda: ahead.get(self._state, self._guard.pages + 1))
        self.progress = None

    def _guess(self, state: Any, seen: Seen) -> Any:
        return MISSING if state is MISSING else self._rules.pages.guess(state, seen)

    def _fetch(self, state: Any, number: int, *, conditional: bool = False) -> JsonPage:
        path, encoding = Path(self._rules.records), self._rules.encoding
        ask = self._asked(state, number)
        ask = self._conditional(ask) if conditional else ask
        return self._fetcher.read(ask, lambda answer: read_page(answer, path, encoding))

    def _asked(self, state: Any, number: int) -> Ask:
        pages = self._rules.pages
        what = ", ".join(filter(None, (self._ask.what, pages.told(state, number))))
        return replace(pages.put(self._ask, state), what=what)

    def _conditional(self, ask: Ask) -> Ask:
        """Only what has changed, where the server has told what to say for that."""
        rules = self._rules
        if ask.method != "GET" or not rules.conditional or rules.again or self.memory.get("ask") != ask.digest:
            return ask
        headers = {"If-None-Match": self.memory.get("etag"), "If-Modified-Since": self.memory.get("modified")}
        return replace(ask, headers={**ask.headers, **{name: value for name, value in headers.items() if value}})

    def _patiently(self, get: Callable[[], JsonPage]) -> JsonPage:
        try:
            return get()
        except Refused as error:
            self._explain(error)

    def _explain(self, error: Refused) -> NoReturn:
        """A cursor does not live for ever; and some servers refuse what is behind their last page."""
        kind = self._rules.pages.kind
        if error.status not in _GONE or not self._guard.pages:
            raise error
        if kind in ("page", "offset"):
            error.hint = "if the server says so that there are no more pages, tell how many there are: total=, or more="
            raise error
        if not self._resumed or self._went_on:
            raise error
        raise SourceChanged(
            f"{error.message} The server does not know any more where the last reading was left.",
            hint="begin anew with ingest(..., restart=True); what has landed stays",
        ) from None

    def _told(self, headers: Mapping[str, str], body: Any) -> int | None:
        """How many records there are, if the server says so."""
        rules = self._rules
        told: Any = headers.get(rules.total_header.lower()) if rules.total_header else None
        told = Path(rules.total).find(body) if rules.total else told
        try:
            total = int(told) if isinstance(told, (int, str)) and not isinstance(told, bool) else -1
        except ValueError:
            total = -1
        self._total = total if total >= 0 else None
        return self._total

    def _after(self, name: str, seen: Seen, content: bytes | None) -> Any:
        """The state of the next page."""
        self._again_the_same = not self._guard.read(name, content)
        if self._again_the_same:
            return MISSING
        following = self._rules.pages.after(self._state, seen)
        if following is MISSING:
            return MISSING
        if isinstance(following, str) and self._rules.pages.kind in ("link", "url"):
            following = self._fetcher.next_url(following)
            self._fetcher.allow(self._asked(self._state, self._guard.pages), following, seen.url)
        self._guard.next(name, self._rules.pages.token(following))
        return following

    def _is_known(self, content: bytes | None) -> bool:
        """The only page has the records that it had when it was read the last time."""
        same = self._window is None and self.memory.get("content") == digest(content or b"")
        return same and self.memory.get("ask") == self._asked(self._state, 1).digest and not self._rules.again

    def _take(self, records: list[dict[str, Any]], rejected: list[Any], size: int, name: str) -> None:
        fresh = self._window.sift(records, name) if self._window is not None else records
        self._heap.add(fresh, rejected, size, name)

    def _move(self, following: Any, headers: Mapping[str, str], found: Mapping[str, Any]) -> None:
        """A page has been read: go on, or note what to remember."""
        self._went_on = True
        self._rows, self._mark = 0, None
        if following is not MISSING:
            self._state = following
            self._note()
            return
        self._warn()
        memory = self._window.remembered() if self._window is not None else {}
        if self._guard.pages == 1:
            memory |= {"ask": self._asked(self._state, 1).digest, **found}
            told = {"etag": headers.get("etag", ""), "modified": headers.get("last-modified", "")}
            memory |= {name: value for name, value in told.items() if value and value.isascii() and value.isprintable()}
        else:
            memory |= {"done": True}
        self.memory, self.progress = memory, None

    def _note(self) -> None:
        kept: dict[str, Any] = {"pages": self._rules.pages.kind, "state": self._state, "records": self._records}
        kept["guard"] = self._guard.kept()
        if self._window is not None:
            kept["window"] = self._window.kept()
        if self._mark is not None:
            kept |= {"mark": self._mark, "rows": self._rows}
        self.progress = kept

    def _warn(self) -> None:
        if self._total is not None and self._records < self._total:
            logger().warning(
                "%s: the server told of %d records, and the list ended after %d: it may have changed meanwhile; "
                "if not, check the paging", self._ask.name, self._total, self._records,
            )  # fmt: skip
        if self._window is not None and self._window.strange:
            logger().warning(
                "%s: %d values of %s lie in the future or are of another type; the next reading does not begin there",
                self._ask.name, self._window.strange, self._rules.since.column if self._rules.since else "",
            )  # fmt: skip

    def _streamed(self) -> Iterator[None]:
        first = not self._resumed
        while True:
            ask = self._asked(self._state, self._guard.pages + 1)
            known = self.memory.get("mark") if first and self.memory.get("ask") == ask.digest else None
            ask = self._conditional(ask) if first else ask
            here = self._mark or (None if self._rules.again else known)
            answer: Answer | None = None
            for chunk, answer, size in self._chunks(ask, here, known=self._mark is None and here is not None):  # noqa: B007
                self._take(chunk.records, chunk.rejected, size, ask.name)
                self._mark = chunk.mark
                self._rows += len(chunk.records) + len(chunk.rejected)
                self._note()
                yield
            if answer is None:
                self.progress = None
                return
            mark = self._mark or {}
            self._records += self._rows
            told = self._told(answer.headers, None)
            seen = Seen(self._rows, self._records, told, None, answer.headers, answer.url)
            following = self._after(ask.name, seen, str(mark.get("digest")).encode() if self._rows else None)
            self._move(following, answer.headers, {"mark": mark})
            yield
            if following is MISSING:
                return
            first = False

    def _chunks(self, ask: Ask, mark: dict[str, Any] | None, *, known: bool) -> Iterator[tuple[Chunk, Answer, int]]:
        """A stream behind a mark; in several tries, if need be. Nothing where it has not changed.

        Args:
            ask: the request.
            mark: how far it was read.
            known: the mark is that of an earlier reading: if what is before it has changed, all of it is read.
        """
        tries = self._fetcher.tries(ask)
        while True:
            try:
                with self._fetcher.open(ask) as answer:
                    if answer.status == 304:
                        return
                    size = 0
                    for chunk in self._parsed(answer, mark):
                        if mark is None or chunk.mark["bytes"] > mark["bytes"]:
                            tries.went_on()
                        mark, known = chunk.mark, False
                        yield chunk, answer, answer.size - size
                        size = answer.size
                    return
            except Again as fault:
                self._fetcher.failed(ask, tries, fault)
            except Refused as error:
                self._explain(error)
            except Differs:
                if not known:
                    raise SourceChanged(
                        f"{ask.name}: what was read before has changed since.",
                        hint="begin anew with ingest(..., restart=True); what has landed stays",
                    ) from None
                mark, known = None, False

    def _parsed(self, answer: Answer, mark: dict[str, Any] | None) -> Iterator[Chunk]:
        rules = self._rules
        if rules.format == "csv":
            return read_csv(answer, mark, rules.encoding, rules.batch_rows, rules.delimiter)
        return read_ndjson(answer, mark, rules.encoding, rules.batch_rows)


def _content(page: JsonPage) -> bytes | None:
    """What a page is recognised by; None where it has no records."""
    if not page.records:
        return repr([rejected.raw for rejected in page.rejected]).encode() if page.rejected else None
    try:
        return msgspec.json.encode(page.records)
    except (UnicodeEncodeError, RecursionError):
        return repr(page.records).encode("utf-8", "surrogatepass")
