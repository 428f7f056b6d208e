"""What one API source was told, checked: every mistake at once."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from penstock.connectors.http.auth import Auth
from penstock.connectors.http.guards import Repeated
from penstock.connectors.http.incremental import Incremental
from penstock.connectors.http.messages import Ask, digest, pairs_of, url_mistakes, without_parameters
from penstock.connectors.http.pages import Pages, Single
from penstock.connectors.http.paths import Path
from penstock.connectors.http.retries import Retries, Timeouts
from penstock.connectors.http.shaping import Nested
from penstock.core.errors import ConfigurationError
from penstock.core.secrets import Secret
from penstock.core.words import mistakes_told

Format = Literal["json", "ndjson", "csv"]

_FORMATS = ("json", "ndjson", "csv")
_ACCEPT = {"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv"}


@dataclass(frozen=True, slots=True, repr=False)
class Rules:
    """See `penstock.connectors.http.HttpApi`, which has the same arguments."""

    url: str
    method: str = "GET"
    parameters: tuple[Mapping[str, Any], ...] = ()
    json: Any = None
    form: Mapping[str, Any] | None = None
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    format: Format = "json"
    records: str = ""
    encoding: str = ""
    delimiter: str = ","
    auth: Auth | None = None
    pages: Pages = field(default_factory=Single)
    since: Incremental | None = None
    total: str = ""
    total_header: str = ""
    nested: Nested = "struct"
    types: Mapping[str, Any] = field(default_factory=dict)
    per_second: float | None = None
    retries: Retries = field(default_factory=Retries)
    timeouts: Timeouts = field(default_factory=Timeouts)
    repeatable: bool = False
    hosts: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    max_bytes: int = 0
    max_pages: int = 0
    repeated: Repeated = "error"
    ahead: int = 0
    conditional: bool = True
    again: bool = False
    batch_rows: int = 0

    def asks(self) -> dict[str, Ask]:
        """The first request for each set of parameters, under a name that stays the same."""
        accept = {"Accept": f"{_ACCEPT[self.format]}, */*;q=0.5"}
        found = {}
        for place, parameters in enumerate(self.parameters or ({},)):
            query = pairs_of(parameters)
            form = None if self.form is None else dict(pairs_of(self.form))
            what = f"parameters[{place}]" if len(self.parameters) > 1 else ""
            ask = Ask(self.method, without_parameters(self.url, ()), query, accept, self.json, form, what)
            found[digest(repr(query).encode("utf-8", "surrogatepass"))] = ask
        return found

    def check(self) -> None:
        """Look at everything.

        Raises:
            ConfigurationError: something cannot be; it tells every mistake.
        """
        if found := self._kinds():
            raise _mistaken(found)
        found = [*url_mistakes("url", self.url), *self._choices(), *self._numbers(), *self._body()]
        for part in (self.auth, self.pages, self.since, self.retries, self.timeouts):
            found += part.mistakes() if part is not None else []
        for name, text in (("records", self.records), ("total", self.total)):
            try:
                Path(text)
            except ValueError as error:
                found.append((name, str(error)))
        if len(self.asks_are_told()) != len(self.parameters):
            found.append(("parameters", "has the same parameters twice"))
        if found:
            raise _mistaken(found)

    def _kinds(self) -> list[tuple[str, str]]:
        wanted: list[tuple[str, Any, type]] = [
            ("auth", self.auth, Auth), ("pages", self.pages, Pages), ("since", self.since, Incremental),
            ("retries", self.retries, Retries), ("timeouts", self.timeouts, Timeouts),
            *((f"parameters[{place}]", one, Mapping) for place, one in enumerate(self.parameters)),
        ]  # fmt: skip
        return [
            (name, f"is no {kind.__name__}, but {type(value).__name__}")
            for name, value, kind in wanted
            if value is not None and not isinstance(value, kind)
        ]

    def asks_are_told(self) -> set[str]:
        """What tells the sets of parameters apart."""
        return {repr(pairs_of(parameters)) for parameters in self.parameters}

    def _choices(self) -> list[tuple[str, str]]:
        found = []
        choices: list[tuple[str, Any, tuple[str, ...]]] = [
            ("method", self.method, ("GET", "POST")),
            ("format", self.format, _FORMATS),
            ("nested", self.nested, ("struct", "json", "flat")),
            ("repeated", self.repeated, ("error", "end", "allow")),
        ]
        for name, value, allowed in choices:
            if value not in allowed:
                found.append((name, f"is one of {', '.join(allowed)}, not {value!r}"))
        if len(self.delimiter) != 1:
            found.append(("delimiter", "is one character"))
        if self.format != "json" and self.records:
            found.append(("records", f"is for JSON; of {self.format} every line is a record"))
        paths = {**{f"pages.{name}": path for name, path in self.pages.paths.items()}, "total": self.total}
        if self.format != "json":
            found += [(name, f"is for JSON; {self.format} has no paths") for name, path in paths.items() if path]
        if self.format != "json" and self.repeated == "end":
            found.append(("repeated", "can be 'end' for JSON only: other pages land while they are read"))
        return found

    def _numbers(self) -> list[tuple[str, str]]:
        least = {"max_bytes": 1, "max_pages": 1, "batch_rows": 1, "ahead": 0}
        found = [(name, f"is at least {low}") for name, low in least.items() if getattr(self, name) < low]
        if self.per_second is not None and not self.per_second > 0:
            found.append(("per_second", "must be more than 0"))
        return found

    def _body(self) -> list[tuple[str, str]]:
        found = []
        if self.method != "POST":
            found += [(name, "goes with method='POST'") for name in ("json", "form") if getattr(self, name) is not None]
            bodies = {"pages": getattr(self.pages, "within", ""), "since": getattr(self.since, "within", "")}
            found += [
                (f"{name}.within", "'body' goes with method='POST'") for name, it in bodies.items() if it == "body"
            ]
        elif self.json is not None and self.form is not None:
            found.append(("form", "cannot be sent together with json"))
        for name, value in self.headers.items():
            text = value.reveal() if isinstance(value, Secret) else value
            if not (name and name.isascii() and name.isprintable() and text.isprintable() and text.isascii()):
                found.append((f"headers.{name}"[:60], "has characters that no HTTP header can have"))
        if self.auth is not None and any(name.lower() == "authorization" for name in self.headers):
            found.append(("headers.Authorization", "is what auth= is for: leave out one of them"))
        for parameters in self.parameters:
            found += [
                (f"parameters.{name}", "is a secret: give it as auth=ApiKey(key, query=...)")
                for name, value in parameters.items()
                if isinstance(value, Secret)
            ]
        return found


def _mistaken(found: list[tuple[str, str]]) -> ConfigurationError:
    return ConfigurationError(mistakes_told("HttpApi(...)", found))
