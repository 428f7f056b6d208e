"""Traces for OpenTelemetry (OTLP over HTTP, as JSON): a span for each run, each task run and each request.

Spans of runs are made of what the journal records, by one server at a time, so that the processes that execute them
have nothing to do with it; whose child a span is, the ids of runs and steps say. A run is the same span whoever makes
it of the record.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import threading
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

import msgspec

from penstock.core.clock import now_us
from penstock.core.errors import ConfigurationError, PenstockError
from penstock.core.events import RunEnded, Stored, TaskEnded
from penstock.core.ids import new_owner
from penstock.core.model import Run
from penstock.core.ports import Journal
from penstock.core.states import STATE_AFTER
from penstock.observability.recorded import ENDS

BOOKMARK = "traces"
_PAGE = 500
_FAR = 1000
"""So many events about other things are not looked through again."""
_MOST_WAITING = 10_000
_TIMEOUT_SECONDS = 10.0
_LEASE_US = 30_000_000
_REFUSED = (400, 413, 422)
"""Answers that would be the same another time."""
_ERROR = 2
_INTERNAL, _SERVER = 1, 2
_TYPES = tuple(kind.stored for kind in ENDS)
_log = logging.getLogger("penstock.traces")
_encode = msgspec.json.Encoder().encode
Span = dict[str, Any]


class Endpoint(msgspec.Struct, frozen=True):
    """Where spans go.

    Attributes:
        url: takes them.
        headers: of each request.
        service: who sends them.
    """

    url: str
    headers: dict[str, str]
    service: str


def endpoint_of(environ: Mapping[str, str]) -> Endpoint | None:
    """What the variables of OpenTelemetry say; None where they name no place.

    Raises:
        ConfigurationError: they name none that can be.
    """
    url = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or ""
    if not url and environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        url = environ["OTEL_EXPORTER_OTLP_ENDPOINT"].rstrip("/") + "/v1/traces"
    if not url or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is {url!r}.", hint="spans go over HTTP: such as http://127.0.0.1:4318"
        )
    pairs = (each.partition("=") for each in environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",") if "=" in each)
    headers = {name.strip(): urllib.parse.unquote(value.strip()) for name, _, value in pairs}
    return Endpoint(url, headers, environ.get("OTEL_SERVICE_NAME") or "penstock")


def trace_of(run_id: str) -> str:
    """The trace that the runs below a run are in."""
    plain = run_id.replace("-", "")
    known = len(plain) == 32 and all(each in "0123456789abcdef" for each in plain)
    return plain if known else hashlib.blake2b(run_id.encode(), digest_size=16).hexdigest()


def span_of(run_id: str, step: str = "") -> str:
    """The span of a run, or of one of its steps."""
    return hashlib.blake2b(f"{run_id}\n{step}".encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, int):
            found.append({"key": name, "value": {"intValue": str(value)}})
        else:
            text = str(value).encode("utf-8", "backslashreplace").decode()
            found.append({"key": name, "value": {"stringValue": text[:2000]}})
    return found


def _span(trace: str, span: str, parent: str | None, name: str, times: tuple[int, int], kind: int = _INTERNAL) -> Span:
    made = {"traceId": trace, "spanId": span, "name": name.encode("utf-8", "backslashreplace").decode()[:500]}
    start, end = times
    moments = {"startTimeUnixNano": str(start * 1000), "endTimeUnixNano": str(max(start, end) * 1000)}
    return {**made, **moments, "kind": kind, **({"parentSpanId": parent} if parent else {})}


def run_span(event: RunEnded, run: Run) -> Span:
    """The span of a run that has ended."""
    parent = span_of(run.parent_id, run.parent_key or "") if run.parent_id else None
    times = (run.started_at or run.created_at, event.at)
    span = _span(trace_of(run.root_id or run.id), span_of(run.id), parent, run.flow, times)
    facts = {"run_id": run.id, "run_name": run.name, "deployment": run.deployment, "attempt": run.attempt}
    return {**span, **_outcome(event, facts)}


def task_span(stored: Stored, event: TaskEnded, run: Run) -> Span:
    """The span of a task run that has ended."""
    parent = span_of(run.id, event.step.parent or "")
    times = (event.started or event.at, event.at)
    span = _span(trace_of(run.root_id or run.id), span_of(run.id, event.step.key), parent, event.step.task, times)
    return {**span, **_outcome(event, {"run_id": run.id, "step": event.step.key, "attempt": event.attempt})}


def _outcome(event: RunEnded | TaskEnded, facts: Mapping[str, Any]) -> dict[str, Any]:
    state = STATE_AFTER[event.stored]
    told = _attributes({f"penstock.{name}": value for name, value in {**facts, "state": state}.items()})
    if state == "Completed":
        return {"attributes": told, "status": {}}
    message = (event.message or state).encode("utf-8", "backslashreplace").decode()[:500]
    return {"attributes": told, "status": {"code": _ERROR, "message": message}}


class Tracer:
    """Sends spans, in a thread of its own. What cannot be sent stays in the journal until it can.

    Args:
        journal: whose runs.
        endpoint: where spans go.
        pause_seconds: between two looks.
    """

    def __init__(self, journal: Journal, endpoint: Endpoint, pause_seconds: float = 2.0) -> None:
        self._journal = journal
        self._endpoint = endpoint
        self._pause = pause_seconds
        self._owner = new_owner()
        self._requests: deque[Span] = deque(maxlen=_MOST_WAITING)
        self._stop = threading.Event()
        self._well = True
        self._thread = threading.Thread(target=self._work, name="penstock-traces", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Send what there is, and stop."""
        self._stop.set()
        self._thread.join(_TIMEOUT_SECONDS + 5)

    def request(self, name: str, facts: Mapping[str, Any], seconds: float, traceparent: str, made: str | None) -> None:
        """A request was answered.

        Args:
            name: its method and route.
            facts: attributes of the span.
            seconds: how long it took.
            traceparent: what it came with (W3C Trace Context).
            made: the run that it has made.
        """
        trace, parent = parent_in(traceparent)
        end = now_us()
        times = (end - int(seconds * 1e6), end)
        span = _span(trace or secrets.token_hex(16), secrets.token_hex(8), parent, name, times, _SERVER)
        span |= {"attributes": _attributes(facts), "status": {"code": _ERROR} if facts["http.status"] >= 500 else {}}
        if made is not None:
            span["links"] = [{"traceId": trace_of(made), "spanId": span_of(made)}]
        self._requests.append(span)

    def _work(self) -> None:
        while not self._stop.wait(self._pause):
            self.turn()
        self.turn()

    def turn(self) -> None:
        """Send what there is; what could not be sent is tried again next time."""
        try:
            self._send_requests()
            while self._send_runs():
                pass
            self._well = True
        except (OSError, HTTPException, ValueError, PenstockError) as error:
            if self._well:
                _log.warning("Spans cannot be sent to %s: %s", self._endpoint.url.split("?")[0], error)
            self._well = False

    def _send_requests(self) -> None:
        while spans := [self._requests.popleft() for _ in range(min(_PAGE, len(self._requests)))]:
            try:
                self._send(spans)
            except (OSError, HTTPException, ValueError):
                self._requests.extendleft(reversed(spans))
                raise

    def _send_runs(self) -> bool:
        """Whether there may be more."""
        if not self._journal.hold("traces", self._owner, now_us(), now_us() + _LEASE_US):
            return False
        mark = self._journal.bookmark(BOOKMARK)
        if mark is None:
            self._journal.keep_bookmark(BOOKMARK, 0, b"%d" % self._journal.head())
            return False
        position, head = int(mark.data), self._journal.head()
        page = self._journal.read(position, _PAGE, _TYPES)
        if spans := self._spans(page) if page else []:
            self._send(spans)
        reached = page[-1].position if len(page) == _PAGE else max(head, *(each.position for each in page[-1:]), 0)
        if page or reached - position >= _FAR:
            self._journal.keep_bookmark(BOOKMARK, mark.seq, b"%d" % max(position, reached))
        return len(page) == _PAGE

    def _spans(self, page: Sequence[Stored]) -> list[Span]:
        runs = {run.id: run for run in self._journal.runs_of(list({stored.stream for stored in page}))}
        found = []
        for stored in page:
            run, event = runs.get(stored.stream), stored.event
            if run is not None and isinstance(event, RunEnded):
                found.append(run_span(event, run))
            elif run is not None and isinstance(event, TaskEnded):
                found.append(task_span(stored, event, run))
        return found

    def _send(self, spans: list[Span]) -> None:
        resource = {"attributes": _attributes({"service.name": self._endpoint.service, "process.pid": os.getpid()})}
        body = {
            "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "penstock"}, "spans": spans}]}]
        }
        headers = {"Content-Type": "application/json", **self._endpoint.headers}
        request = urllib.request.Request(self._endpoint.url, _encode(body), headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
                answer.read(1)
        except HTTPError as error:
            if error.code not in _REFUSED:
                raise
            _log.warning("%d spans were refused with %d; they are not sent again.", len(spans), error.code)


def parent_in(traceparent: str) -> tuple[str | None, str | None]:
    """The trace and the span that a request belongs to, by W3C Trace Context."""
    parts = traceparent.split("-")
    lengths = [2, 32, 16, 2]
    if [len(part) for part in parts] != lengths or not set("".join(parts)) <= set("0123456789abcdef"):
        return None, None
    _, trace, span, _ = parts
    return (trace, span) if int(trace, 16) and int(span, 16) else (None, None)
