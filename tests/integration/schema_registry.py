"""A schema registry that speaks Confluent's protocol over HTTP, as far as clients that read and write need it.

A real one cannot be had without Confluent's own repository; this one answers as its API's documentation says.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest


class FakeRegistry:
    """Schemas by id and by subject.

    Attributes:
        login: user and password that are asked for.
        troubles: answers to give before the right ones.
        asked: every path that was asked for.
    """

    def __init__(self) -> None:
        self.schemas: list[dict[str, Any]] = []
        self.subjects: dict[str, list[int]] = {}
        self.serialized: dict[int, str] = {}
        self.login: tuple[str, str] | None = None
        self.troubles: list[tuple[int, str]] = []
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.answer(self, None)

            def do_POST(self) -> None:
                registry.answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def register(
        self, subject: str, schema: str, kind: str = "AVRO", references: Any = (), serialized: str = ""
    ) -> int:
        """The id; the same schema under the same subject keeps its own."""
        entry = {"schema": schema, "schemaType": kind, "references": list(references)}
        if entry not in self.schemas:
            self.schemas.append(entry)
        number = self.schemas.index(entry) + 1
        versions = self.subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        if serialized:
            self.serialized[number] = serialized
        return number

    def answer(self, handler: BaseHTTPRequestHandler, body: Any) -> None:
        parts = urlsplit(handler.path)
        self.asked.append(handler.path)
        status, found = self._found(
            handler, [unquote(one) for one in parts.path.split("/")[1:]], parse_qs(parts.query), body
        )
        text = found if isinstance(found, str) else json.dumps(found)
        handler.send_response(status)
        handler.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text.encode())

    def _found(self, handler: Any, path: list[str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if self.troubles:
            return self.troubles.pop(0)
        if self.login is not None:
            expected = base64.b64encode(":".join(self.login).encode()).decode()
            if handler.headers.get("Authorization") != f"Basic {expected}":
                return 401, {"error_code": 401, "message": "Unauthorized"}
        serialized = query.get("format") == ["serialized"]
        match path:
            case ["schemas", "ids", number] if 0 < int(number) <= len(self.schemas):
                return 200, self._told(int(number), serialized)
            case ["schemas", "ids", _]:
                return 404, {"error_code": 40403, "message": "Schema not found"}
            case ["subjects", subject, "versions"] if body is not None:
                return 200, {"id": self.register(subject, body["schema"], body.get("schemaType", "AVRO"))}
            case ["subjects", subject, "versions", version] if subject in self.subjects:
                number = self.subjects[subject][int(version) - 1]
                return 200, {"subject": subject, "version": int(version), "id": number} | self._told(number, serialized)
            case _:
                return 404, {"error_code": 40401, "message": "Subject not found"}

    def _told(self, number: int, serialized: bool) -> dict[str, Any]:
        entry = dict(self.schemas[number - 1])
        if serialized:
            entry["schema"] = self.serialized[number]
        if entry["schemaType"] == "AVRO":
            del entry["schemaType"]
        if not entry["references"]:
            del entry["references"]
        return entry

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    server = FakeRegistry()
    yield server
    server.close()
