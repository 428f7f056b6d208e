"""The schemas of a topic, from a registry that speaks Confluent's protocol."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple
from urllib.parse import quote

from penstock.connectors.kafka.cluster import Kafka, refuse
from penstock.connectors.kafka.driver import httpx
from penstock.core.errors import SourceUnavailable
from penstock.core.secrets import Secret, masked_url

MAGIC = 0
FRAME = 5
_JSON = "application/vnd.schemaregistry.v1+json"


class Schema(NamedTuple):
    """A schema as it is registered.

    Attributes:
        kind: `AVRO`, `PROTOBUF` or `JSON`.
        text: the schema itself.
        references: the names that it uses, and the schemas they stand for.
    """

    kind: str
    text: str
    references: tuple[tuple[str, Schema], ...] = ()


class UnknownSchema(Exception):
    """The registry has no such schema."""


class SchemaRegistry:
    """Asks a registry for schemas; each is asked for once.

    Args:
        url: such as `https://registry:8081`.
        user: where it asks for one.
        password: goes with the user.
        patience_seconds: how long to try when it does not answer.

    Raises:
        ConfigurationError: some of this cannot be; every mistake is told.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str | None = None,
        password: str | Secret | None = None,
        patience_seconds: float = 30.0,
    ) -> None:
        self._url = url.rstrip("/")
        self._user = user
        self._password = None if password is None else Secret(password)
        self._patience = patience_seconds
        mistakes = []
        if not url.startswith(("http://", "https://")):
            mistakes.append(("url", f"{masked_url(url)!r} does not begin with http:// or https://"))
        if "@" in url:
            mistakes.append(("url", "holds a user; give user= and password="))
        if (user is None) != (password is None):
            mistakes.append(("user, password", "go together"))
        refuse("SchemaRegistry", mistakes)
        self._client: Any = None
        self._by_id: dict[tuple[int, str], Schema | None] = {}
        self._ids: dict[tuple[str, str], int] = {}

    @classmethod
    def of(cls, given: SchemaRegistry | str | None, kafka: Kafka) -> SchemaRegistry | None:
        """The one that is meant: given, by its URL, or that of the cluster's saved connection."""
        connection = kafka.connection
        if given is None and connection is not None and connection.schema_registry_url:
            return cls(
                connection.schema_registry_url,
                user=connection.schema_registry_username,
                password=connection.schema_registry_password,
            )
        return cls(given) if isinstance(given, str) else given

    def __repr__(self) -> str:
        return f"SchemaRegistry({masked_url(self._url)!r})"

    def schema(self, number: int, *, form: str = "") -> Schema:
        """A schema by its id.

        Args:
            number: its id.
            form: how to write it: `serialized` for a Protobuf descriptor in base64.

        Raises:
            UnknownSchema: there is none with that id.
            SourceUnavailable: the registry does not answer.
        """
        key = (number, form)
        if key not in self._by_id:
            found = self._get(f"/schemas/ids/{number}", form)
            self._by_id[key] = None if found is None else self._read(found, form)
        known = self._by_id[key]
        if known is None:
            raise UnknownSchema(f"the registry has no schema {number}")
        return known

    def register(self, subject: str, text: str, kind: str = "AVRO") -> int:
        """The id of a schema under a subject; it is registered where it is new.

        Raises:
            SourceUnavailable: the registry does not answer, or refuses it.
        """
        key = (subject, text)
        if key not in self._ids:
            body = {"schema": text} if kind == "AVRO" else {"schema": text, "schemaType": kind}
            found = self._ask("POST", f"/subjects/{quote(subject, safe='')}/versions", body)
            if found.status_code != 200:
                raise SourceUnavailable(f"The schema registry refuses a schema for {subject!r}: {_said(found)}.")
            self._ids[key] = int(found.json()["id"])
        return self._ids[key]

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _read(self, found: dict[str, Any], form: str) -> Schema:
        references = []
        for one in found.get("references") or ():
            path = f"/subjects/{quote(one['subject'], safe='')}/versions/{one['version']}"
            behind = self._get(path, form)
            if behind is None:
                raise UnknownSchema(f"the registry has no version {one['version']} of {one['subject']!r}")
            references.append((str(one["name"]), self._read(behind, form)))
        return Schema(found.get("schemaType", "AVRO"), found["schema"], tuple(references))

    def _get(self, path: str, form: str) -> dict[str, Any] | None:
        answer = self._ask("GET", path + (f"?format={form}" if form else ""))
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise SourceUnavailable(f"The schema registry at {self._url} says {_said(answer)}.")
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict) or "schema" not in found:
            raise SourceUnavailable(f"What answers at {self._url} is no schema registry.", hint="check its address")
        return found

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """An answer; connections that fail and answers of 5xx and 429 are tried again."""
        if self._client is None:
            login = (self._user, self._password.reveal()) if self._user and self._password else None
            self._client = httpx.Client(auth=login, timeout=10.0, headers={"Accept": f"{_JSON}, application/json"})
        content = None if body is None else json.dumps(body)
        deadline, wait = time.monotonic() + self._patience, 0.1
        while True:
            try:
                answer = self._client.request(
                    method, self._url + path, content=content, headers={"Content-Type": _JSON}
                )
                problem = "" if answer.status_code < 500 and answer.status_code != 429 else _said(answer)
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            if not problem:
                return answer
            if time.monotonic() + wait > deadline:
                raise SourceUnavailable(f"The schema registry at {self._url} cannot be reached: {problem}.")
            time.sleep(wait)
            wait = min(wait * 2, 5.0)


def _said(answer: Any) -> str:
    try:
        message = answer.json().get("message", "")
    except (ValueError, AttributeError):
        message = ""
    return f"{answer.status_code} {message or answer.reason_phrase}"


def framed(value: bytes) -> int | None:
    """The schema id that a value begins with, if it does."""
    if len(value) < FRAME or value[0] != MAGIC:
        return None
    return int.from_bytes(value[1:FRAME], "big")
