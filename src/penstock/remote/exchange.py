"""How a call becomes its answer: signing in, trying again, paging and following, as plain generators.

Nothing here waits or sends. A generator says what is to be done next (a step) and is told what came of it, so that the
same lines serve who waits and who awaits (`transports`), and a test that does neither.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec

from penstock.core import typed
from penstock.core.errors import PenstockError
from penstock.remote.calls import Call
from penstock.remote.errors import AnswerLost, NotPenstock, ServerError, ServerUnavailable, error_of
from penstock.remote.identity import Tokens
from penstock.remote.messages import Reader
from penstock.remote.session import (
    Alone,
    Answer,
    Give,
    Heard,
    More,
    Open,
    Request,
    Rest,
    Send,
    Session,
    Steps,
    Unreached,
)

_AGAIN = "again"
"""The server ends a stream, and whoever listens is to come back."""
_OVER = ("end", "gone")
_BUSY = (429, 502, 503, 504)
_FIRST_SECONDS, _LONGEST_SECONDS = 0.1, 5.0
_STRANGER_SECONDS = 3.0
"""How long a server that has never answered is waited for: more likely the address is wrong."""
_SILENT_SECONDS = 45.0
"""A stream that says nothing for so long, not even that there is nothing, is gone."""


class _Tries:
    """How often and how long a call is tried again."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.since: float | None = None
        self.next = _FIRST_SECONDS

    def rest(self, refusal: PenstockError, at_least: float = 0.0) -> Steps[None]:
        """Wait before the next time.

        Raises:
            PenstockError: the refusal, when it has been tried for long enough.
        """
        session, now = self.session, self.session.clock()
        self.since = now if self.since is None else self.since
        patience = session.patience_seconds if session.met else min(session.patience_seconds, _STRANGER_SECONDS)
        delay = max(self.next * random.uniform(0.5, 1.0), at_least)
        if now + delay > self.since + patience:
            raise refusal
        self.next = min(self.next * 2, _LONGEST_SECONDS)
        yield Rest(delay)


def answered(session: Session, call: Call[Any], step: type[Send] | type[Open] = Send) -> Steps[Answer]:
    """Send a call until it is answered.

    Raises:
        PenstockError: the server refuses, or is away for too long.
    """
    request, tries = session.request(call), _Tries(session)
    lost = renewed = False
    while True:
        used = session.identity.header
        if used is None and session.identity.renewable:
            yield Alone(lambda: renew(session, None))
            continue
        if used is not None:
            request.headers["Authorization"] = used
        try:
            answer: Answer = yield step(request)
        except Unreached as away:
            if away.sent and not call.again:
                raise _named(AnswerLost(f"{session.url} was gone before it answered."), request) from None
            lost = lost or away.sent
            yield from tries.rest(_named(_away(session, away.reason), request))
            continue
        session.met = True
        if answer.status < 300 or answer.status == 304:
            return answer
        if answer.status == 404 and call.method == "DELETE" and lost:
            return answer  # the time before, whose answer was lost, has done it
        refusal = _refusal(session, answer)
        if answer.status == 401 and session.identity.renewable and not renewed:
            renewed = True
            yield Alone(lambda used=used: renew(session, used))  # type: ignore[misc]
        elif answer.status in _BUSY and (call.again or answer.status == 429):
            yield from tries.rest(refusal, _seconds(answer.headers.get("retry-after")))
        else:
            raise refusal


def _named(error: ServerError, request: Request) -> ServerError:
    error.request_id = request.headers["X-Request-ID"]
    return error


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:  # a date: what asks for more patience than this is rare
        return _LONGEST_SECONDS


def renew(session: Session, used: str | None) -> Steps[None]:
    """Sign in, or have the tokens renewed; nothing where somebody else has done so since they were used.

    Raises:
        PenstockError: the server does not let us in.
    """
    tries = _Tries(session)
    while not session.identity.claim():
        yield from tries.rest(ServerUnavailable("Another process signs in for too long.", hint="is it stopped?"))
    try:
        if session.identity.header == used:
            yield from _renewed(session)
    finally:
        session.identity.release()


def _renewed(session: Session) -> Steps[None]:
    ways, tries = list(session.identity.calls()), _Tries(session)
    while True:
        request = session.request(ways[0])
        try:
            answer: Answer = yield Send(request)
        except Unreached as away:
            yield from tries.rest(_named(_away(session, away.reason), request))
            continue
        if answer.status < 300:
            session.identity.take(decoded(session, Tokens, answer))
            return
        refusal = _refusal(session, answer)
        if answer.status in _BUSY:
            yield from tries.rest(refusal, _seconds(answer.headers.get("retry-after")))
        elif answer.status in (400, 401) and len(ways) > 1:
            del ways[0]  # the way that is left asks for the password
        else:
            raise refusal


def _refusal(session: Session, answer: Answer) -> PenstockError:
    return error_of(answer.status, answer.body, answer.headers.get("content-type", ""), session.url)


def _away(session: Session, reason: str) -> ServerUnavailable:
    return ServerUnavailable(f"{session.url} cannot be reached: {reason}.")


def one(session: Session, call: Call[Any]) -> Steps[Any]:
    """The answer of a call, as its type."""
    return decoded(session, call.answer, (yield from answered(session, call)))


def decoded(session: Session, kind: Any, answer: Answer) -> Any:
    """An answer as its type; what has a field `etag` is told the one it came with.

    Raises:
        NotPenstock: it is something else.
    """
    if kind is None:
        return None
    if kind is bytes:
        return answer.body
    try:
        found = typed.from_json(answer.body, kind)
    except msgspec.MsgspecError as error:
        raise NotPenstock(
            f"{session.url} answers what this Penstock does not understand: {error}.",
            hint="is it another version of Penstock? penstock version shows this one",
        ) from None
    tag = answer.headers.get("etag")
    if tag is not None and "etag" in getattr(found, "__struct_fields__", ()):
        found = msgspec.structs.replace(found, etag=tag)
    return found


def pages(session: Session, call: Call[Any]) -> Steps[None]:
    """Every item of a list, page after page."""
    while True:
        page = yield from one(session, call)
        for item in page.items:
            yield Give(item)
        query = {name: value for name, value in call.query.items() if name not in ("skip", "cursor")}
        had = (getattr(page, "skip", None) or 0) + len(page.items)
        if page.next is not None:
            query["cursor"] = page.next
        elif page.items and "cursor" not in call.query and had < (getattr(page, "total", None) or 0):
            query["skip"] = had
        else:
            return
        call = msgspec.structs.replace(call, query=query)


def stream(session: Session, call: Call[Any]) -> Steps[None]:
    """Every message of a stream, each once: where it breaks off, it is asked for again from there on."""
    reader, tries = Reader(call.headers.get("Last-Event-ID", "")), _Tries(session)
    asking = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
    while True:
        headers = {**call.headers, **asking} | ({"Last-Event-ID": reader.last_id} if reader.last_id else {})
        headers = {name: value for name, value in headers.items() if value}
        now = msgspec.structs.replace(call, headers=headers, seconds=_SILENT_SECONDS - session.timeout_seconds)
        answer = yield from answered(session, now, Open)
        if answer.status == 204:  # all was heard, and nothing more will come
            return
        try:
            while piece := (yield More()):
                tries = _Tries(session)  # it is there: a heartbeat is enough
                for message in reader.feed(piece):
                    if message.event == _AGAIN:
                        continue
                    yield Give(Heard(message.event, msgspec.json.decode(message.data), message.id))
                    if message.event in _OVER:
                        return
        except Unreached as away:
            reason = away.reason
        except ValueError as error:
            reason = str(error)
        else:
            reason = "the stream ended"
        wait = reader.retry_seconds or 0.0
        reader = Reader(reader.last_id)
        yield from tries.rest(_away(session, reason), wait)


def chunks(session: Session, call: Call[Any]) -> Steps[None]:
    """A body piece by piece; where it breaks off, the rest of the same is asked for."""
    had, tag, tries = 0, "", _Tries(session)
    while True:
        headers = {**call.headers, "Accept": "*/*", "Accept-Encoding": "identity"}
        if had:
            headers |= {"Range": f"bytes={had}-", "If-Range": tag}
        answer = yield from answered(session, msgspec.structs.replace(call, headers=headers), Open)
        if had and answer.status != 206:
            raise ServerError("It was changed while it was got.", hint="get it again")
        tag = answer.headers.get("etag", "")
        size = int(answer.headers.get("content-length", 0)) + had
        try:
            while piece := (yield More()):
                had += len(piece)
                tries = _Tries(session)
                yield Give(piece)
        except Unreached as away:
            if not tag or not size:
                raise _away(session, away.reason) from None
            yield from tries.rest(_away(session, away.reason))
            continue
        return
