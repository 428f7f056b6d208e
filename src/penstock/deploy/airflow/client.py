"""Airflow's REST API, version 2, as far as runs are ordered, followed and ended by it.

Fields and routes are those of Airflow 3 (its OpenAPI document at `/openapi.json`); what else an answer holds is left
out of account. Every request may be sent again: the id of a run is given with its order.
"""

from __future__ import annotations

import datetime
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request

import msgspec

from penstock.core import typed
from penstock.core.errors import ConfigurationError, EngineRefused, EngineUnreachable, RunNotThere
from penstock.deploy.airflow.answers import Dag, DagRun, Details, FileTrouble, TaskInstance, Version
from penstock.engine.posting import Posted, post

T = TypeVar("T")
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_TRIES = 3
_FIRST_SECONDS, _LONGEST_SECONDS = 0.2, 5.0
_MOST_BYTES = 32_000_000
_PAGE = 100
_MOST_PAGES = 200
_MOST_TOLD = 300
_API = "/api/v2"


class _Token(msgspec.Struct):
    access_token: str


class _Runs(msgspec.Struct):
    dag_runs: list[DagRun]
    total_entries: int = 0


class _Tasks(msgspec.Struct):
    task_instances: list[TaskInstance]
    total_entries: int | None = None


class _Errors(msgspec.Struct):
    import_errors: list[FileTrouble]


class _Lines(msgspec.Struct):
    content: list[Any]
    continuation_token: str | None = None


class AirflowClient:
    """Asks one Airflow. May be used by several threads at once.

    Args:
        url: of its API server, with or without `/api/v2`.
        user, password: to sign in with; without a user nobody signs in.
        seconds: so long a request may take altogether.
        rest: waits for so many seconds.

    Raises:
        ConfigurationError: the URL is none.
    """

    def __init__(
        self,
        url: str,
        user: str = "",
        password: str = "",
        *,
        seconds: float = 30.0,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigurationError(
                f"Airflow's address {parts._replace(netloc=parts.hostname or '', query='').geturl()!r} is none.",
                hint="set AIRFLOW_API_URL to something such as http://airflow.example.com:8080",
            )
        if "@" in parts.netloc:
            raise ConfigurationError(
                "Airflow's address holds a user or a password.", hint="give them as AIRFLOW_USER and AIRFLOW_PASSWORD"
            )
        self.url = url.strip().rstrip("/").removesuffix(_API)
        self._user, self._password = user, password
        self._seconds = seconds
        self._rest = rest
        self._token: str | None = None
        self._signing = threading.Lock()

    def version(self) -> str:
        """Which Airflow it is."""
        return self._ask("GET", f"{_API}/version", Version).version

    def dag(self, dag_id: str) -> Dag | None:
        """A DAG; None while Airflow knows none of this id."""
        try:
            return self._ask("GET", f"{_API}/dags/{quote(dag_id, safe='')}", Dag)
        except RunNotThere:
            return None

    def schema(self, dag_id: str) -> dict[str, Any]:
        """A JSON Schema of the parameters that a DAG takes.

        Raises:
            RunNotThere: Airflow knows no such DAG.
        """
        details = self._ask("GET", f"{_API}/dags/{quote(dag_id, safe='')}/details", Details)
        return {"properties": {name: param.schema for name, param in (details.params or {}).items()}}

    def pause(self, dag_id: str, paused: bool) -> None:
        """Have its schedule make no runs, or again.

        Raises:
            RunNotThere: Airflow knows no such DAG.
        """
        self._ask("PATCH", f"{_API}/dags/{quote(dag_id, safe='')}", Dag, body={"is_paused": paused})

    def import_errors(self, part: str) -> list[FileTrouble]:
        """What went wrong with files that have this in their name."""
        query = {"limit": _PAGE, "filename_pattern": f"%{part}%"}
        return self._ask("GET", f"{_API}/importErrors", _Errors, query=query).import_errors

    def trigger(self, dag_id: str, run_id: str, parameters: Mapping[str, Any]) -> DagRun:
        """Order a run under an id; where there is one already, it is that one.

        Raises:
            RunNotThere: Airflow knows no such DAG (yet).
            EngineRefused: the parameters do not fit it, and why.
        """
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(parameters)}
        try:
            return self._ask("POST", f"{_API}/dags/{quote(dag_id, safe='')}/dagRuns", DagRun, body=body)
        except _Conflict:
            return self.run(dag_id, run_id)

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """One run.

        Raises:
            RunNotThere: Airflow knows no such run.
        """
        return self._ask("GET", _run_path(dag_id, run_id), DagRun)

    def runs(self, since: datetime.datetime, dag_id: str = "~") -> Iterator[DagRun]:
        """The runs of a DAG, or of all of them, that were made or have changed since."""
        query = {"updated_at_gte": since.isoformat(), "order_by": "id"}
        yield from self._pages(f"{_API}/dags/{quote(dag_id, safe='~')}/dagRuns", _Runs, "dag_runs", query)

    def tasks(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """The operators of a run."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances"
        return list(self._pages(path, _Tasks, "task_instances", {}))

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int, map_index: int = -1) -> Iterator[Any]:
        """What an operator has logged in one try: objects with `event` and perhaps `timestamp` and `level`, or lines.

        Nothing while there is no log yet.
        """
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}/logs/{attempt}"
        query: dict[str, Any] = {"map_index": map_index, "full_content": "true"}
        seen: set[str] = set()
        for _ in range(_MOST_PAGES):
            try:
                page = self._ask("GET", path, _Lines, query=query)
            except RunNotThere:
                return
            yield from page.content
            token = page.continuation_token
            if not token or token in seen or not page.content:
                return
            seen.add(token)
            query["token"] = token

    def end(self, dag_id: str, run_id: str) -> None:
        """End a run as failed: Airflow stops the processes of its operators.

        Raises:
            RunNotThere: Airflow knows no such run.
        """
        self._ask("PATCH", _run_path(dag_id, run_id), DagRun, body={"state": "failed"})

    def _pages(self, path: str, kind: Any, name: str, query: dict[str, Any]) -> Iterator[Any]:
        had = 0
        for _ in range(_MOST_PAGES):
            page = self._ask("GET", path, kind, query={**query, "limit": _PAGE, "offset": had})
            items = getattr(page, name)
            yield from items
            had += len(items)
            if len(items) < _PAGE or had >= (page.total_entries or 0):
                return

    def _ask(
        self, method: str, path: str, kind: type[T], *, query: Mapping[str, Any] | None = None, body: Any = None
    ) -> T:
        """The answer to a request, as its type."""
        return self._read(self._answer(method, path, query, body), kind)

    def _answer(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Posted:
        """The answer to a request. The token is renewed where Airflow takes it no more."""
        target = f"{self.url}{path}{f'?{urlencode(query)}' if query else ''}"
        content = msgspec.json.encode(body) if body is not None else None
        used = self._token or self._sign_in(None)
        answer = self._send(method, target, content, used)
        if answer.status == 401 and self._user:
            answer = self._send(method, target, content, self._sign_in(used))
        self._refuse(answer, f"{method} {path}")
        return answer

    def _sign_in(self, used: str | None) -> str | None:
        """A token; another one than the one that was used, where nobody else has got one since."""
        if not self._user:
            return None
        with self._signing:
            if self._token is None or self._token == used:
                content = msgspec.json.encode({"username": self._user, "password": self._password})
                answer = self._send("POST", f"{self.url}/auth/token", content, None)
                if answer.status in (400, 401, 403, 422):
                    raise EngineRefused(
                        f"Airflow at {self.url} does not let the user {self._user!r} in ({_told(answer)}).",
                        hint="see AIRFLOW_USER and AIRFLOW_PASSWORD",
                    )
                if answer.status in (404, 405):
                    raise EngineRefused(
                        f"Airflow at {self.url} has no /auth/token ({_told(answer)}).",
                        hint="is AIRFLOW_API_URL the address of an Airflow 3 API server?",
                    )
                self._refuse(answer, "POST /auth/token")
                self._token = str(self._read(answer, _Token).access_token)
            return self._token

    def _send(self, method: str, target: str, content: bytes | None, token: str | None) -> Posted:
        """Send a request until it is answered by somebody who is not busy.

        Raises:
            EngineUnreachable: nobody did.
        """
        headers = {"Accept": "application/json", "User-Agent": "penstock"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        rest = _FIRST_SECONDS
        for left in reversed(range(_TRIES)):
            wanted = rest
            try:
                answer = post(
                    Request(target, content, headers, method=method), self._seconds, most_bytes=_MOST_BYTES + 1
                )
            except (OSError, HTTPException, ValueError) as error:
                reason = _reason(error)
            else:
                if answer.status not in _BUSY:
                    return answer
                reason, wanted = _told(answer), max(rest, answer.rest_seconds or 0.0)
            if left and wanted <= _LONGEST_SECONDS:
                self._rest(wanted)
                rest *= 3
                continue
            break
        raise EngineUnreachable(f"Airflow at {self.url} cannot be reached: {reason}.")

    def _refuse(self, answer: Posted, what: str) -> None:
        if 200 <= answer.status < 300:
            return
        told = f"Airflow at {self.url} refuses {what}: {_told(answer)}"
        if answer.status == 404:
            raise RunNotThere(f"{told}.")
        if answer.status == 409:
            raise _Conflict(f"{told}.")
        if answer.status in (401, 403):
            raise EngineRefused(f"{told}.", hint="give AIRFLOW_USER a role that may trigger and change DAG runs")
        if 300 <= answer.status < 400:
            raise EngineRefused(f"{told}.", hint="see that AIRFLOW_API_URL is the address of its API server itself")
        raise EngineRefused(f"{told}.")

    def _read(self, answer: Posted, kind: type[T]) -> T:
        """An answer as its type.

        Raises:
            EngineRefused: it is something else.
        """
        try:
            if len(answer.body) > _MOST_BYTES:
                raise ValueError(f"it is longer than {_MOST_BYTES:,} bytes")
            return typed.from_json(answer.body, kind)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            if "truncated" in str(error):
                raise EngineUnreachable(f"Airflow at {self.url} broke its answer off.") from None
            shown = "a page of HTML" if answer.body.lstrip()[:1] == b"<" else f"{error}"
            raise EngineRefused(
                f"What answers at {self.url} is not Airflow's API, version 2: {shown}.",
                hint="see that AIRFLOW_API_URL is the address of an Airflow 3 API server",
            ) from None


class _Conflict(EngineRefused):
    """There is one already."""


def _run_path(dag_id: str, run_id: str) -> str:
    return f"{_API}/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    reason = getattr(error, "reason", None)
    if isinstance(reason, OSError):
        return reason.strerror or str(reason)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _told(answer: Posted) -> str:
    """What a refusal says, in a line: Airflow gives `detail`, as a text or as a list of mistakes."""
    told: Any = None
    try:
        told = msgspec.json.decode(answer.body)["detail"]
    except (msgspec.MsgspecError, LookupError, TypeError, RecursionError):
        if answer.body.lstrip()[:1] != b"<":
            told = answer.body[:_MOST_TOLD].decode("utf-8", "replace")
    if isinstance(told, dict):
        told = told.get("reason") or told.get("message") or told
    if isinstance(told, list):
        told = "; ".join(str(each.get("msg", each)) if isinstance(each, dict) else str(each) for each in told[:5])
    line = re.sub(r"\s+", " ", str(told or "")).strip().rstrip(".")
    line = "".join(letter for letter in line if letter.isprintable())[:_MOST_TOLD]
    return f"HTTP {answer.status}{f', {line}' if line else ''}"
