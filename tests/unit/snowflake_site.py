"""Snowflake's HTTP protocol, as far as the connector needs it here, before a DuckDB database.

It is strict where the service is said to be: a statement that makes or changes a table commits the transaction it is
in, names are in capitals, and a session must have asked for quoted names to be like all others.
"""

from __future__ import annotations

import datetime
import gzip
import json
import re
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp
from tests.unit.api_server import Reply, Request
from tests.unit.duckhouse import EPOCH, Answer, DuckHouse, Refused, T, decimal_text, digits, microseconds, retyped

_PASSWORD = "open sesame"
_DDL = re.compile(r"\s*(CREATE|ALTER|DROP)\b", re.IGNORECASE)
_DESCRIBE = re.compile(r'DESCRIBE TABLE "((?:[^"]|"")*)"\."((?:[^"]|"")*)"', re.DOTALL)
_PUT = re.compile(r"PUT '(file://[^']*)' @~/(\S+)")
_COPY = re.compile(r"COPY INTO (.+?) FROM \(SELECT (.*) FROM @~/(\S+)\) FILE_FORMAT = \(TYPE = PARQUET\)", re.DOTALL)
_ERRORS = {
    "syntax": ("001003", "42000"),
    "missing": ("002003", "42S02"),
    "column": ("000904", "42000"),
    "value": ("100038", "22018"),
    "null": ("100072", "22000"),
    "conflict": ("000625", "57014"),
}
_TYPES = retyped(
    {
        T.VARIANT: "JSON",
        T.FLOAT: "DOUBLE",
        T.TIMESTAMPTZ: "TIMESTAMPTZ",
        T.TIMESTAMP: "TIMESTAMP",
        T.TIMESTAMPNTZ: "TIMESTAMP",
        T.TIME: "TIME",
        T.BINARY: "BLOB",
        T.VARBINARY: "BLOB",
    }
)


def _changed(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.Table) and node.name.lower() == "schemata" and node.db.lower() == "information_schema":
        return exp.to_table("capital_schemata")
    if isinstance(node, exp.Create) and (given := node.args.get("properties")):
        kept = [one for one in given.expressions if not isinstance(one, exp.TemporaryProperty)]
        node.set("properties", exp.Properties(expressions=kept) if kept else None)
    return _TYPES(node)


@dataclass
class _Session:
    cursor: Any
    inside: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)


class SnowflakeSite:
    """The service.

    Attributes:
        house: what is behind it.
        refuse: gives an error (number, SQL state, text) for a statement that it does not like; for tests.
        known: the answers to questions that DuckDB could not answer.
        log: what was executed, in order.
    """

    def __init__(self) -> None:
        self.house = DuckHouse("snowflake", _changed)
        self.house.cursor().execute(
            "CREATE VIEW main.capital_schemata AS "
            "SELECT upper(schema_name) AS schema_name FROM information_schema.schemata"
        )
        self.refuse: Callable[[str], tuple[str, str, str] | None] = lambda sql: None
        self.known: dict[str, tuple[Any, ...]] = {}
        self.log: list[str] = []
        self._files: dict[str, bytes] = {}
        self._sessions: dict[str, _Session] = {}

    def __call__(self, request: Request) -> Any:
        if request.method == "PUT":
            self._staged(request)
            return b""
        body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        asked = json.loads(body) if body.strip() else {}
        if request.path == "/session/v1/login-request":
            return self._login(asked)
        if request.path.startswith("/queries/v1/query-request"):
            token = request.headers.get("authorization", "").partition('Token="')[2].rstrip('"')
            session = self._sessions.get(token)
            if session is None:
                return _refusal("390104", "08001", "User must login again to access the service.")
            return self._query(session, asked, request.url)
        return {"data": None, "code": None, "message": None, "success": True}

    def _staged(self, request: Request) -> None:
        self._files[request.path.removeprefix("/stage/")] = request.body

    def forget(self) -> None:
        """End all sessions, as when their processes are dead: what they had not committed is rolled back."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            if session.inside:
                session.cursor.execute("ROLLBACK")

    def _login(self, asked: Any) -> Any:
        data = asked["data"]
        if data.get("PASSWORD") != _PASSWORD:
            return _refusal("390100", "08001", "Incorrect username or password was specified.")
        token = uuid.uuid4().hex
        given = {name.upper(): value for name, value in (data.get("SESSION_PARAMETERS") or {}).items()}
        self._sessions[token] = _Session(self.house.cursor(), parameters=given)
        info = {"databaseName": "SHOP", "schemaName": None, "warehouseName": "W", "roleName": "LOADER"}
        told = {
            "token": token,
            "masterToken": uuid.uuid4().hex,
            "validityInSeconds": 3600,
            "masterValidityInSeconds": 14400,
            "displayUserName": "ANN",
            "serverVersion": "9.0.0",
            "sessionId": 1,
            "parameters": [{"name": "AUTOCOMMIT", "value": True}, {"name": "TIMEZONE", "value": "UTC"}],
            "sessionInfo": info,
        }
        return {"data": told, "code": None, "message": None, "success": True}

    def _query(self, session: _Session, asked: Any, url: str) -> Any:
        sql = asked["sqlText"]
        self.log.append(sql)
        if problem := self.refuse(sql):
            return _refusal(*problem)
        values = [_value(one) for _, one in sorted((asked.get("bindings") or {}).items(), key=lambda one: int(one[0]))]
        try:
            return self._answered(session, sql, values, url)
        except Refused as refused:
            if refused.kind == "conflict" and session.inside:
                self._end(session, "ROLLBACK")
            number, state = _ERRORS[refused.kind]
            return _refusal(number, state, f"SQL error: {refused}")

    def _answered(self, session: _Session, sql: str, values: list[Any], url: str) -> Any:
        if sql in ("BEGIN", "COMMIT", "ROLLBACK"):
            if sql == "BEGIN":
                session.cursor.execute("BEGIN TRANSACTION")
                session.inside = True
            else:
                self._end(session, sql)
            return _told(Answer(["status"], ["VARCHAR"], [("Statement executed successfully.",)]))
        if sql in self.known:
            row = self.known[sql]
            return _told(Answer([f"c{number}" for number in range(len(row))], ["VARCHAR"] * len(row), [row]))
        if found := _PUT.match(sql):
            return self._put(found, url)
        if found := _DESCRIBE.match(sql):
            return _told(self._described(found))
        if '"' in sql and str(session.parameters.get("QUOTED_IDENTIFIERS_IGNORE_CASE")).lower() != "true":
            raise Refused("missing", "the stand-in knows no names in lower case")
        if _DDL.match(sql) and session.inside:
            self._end(session, "COMMIT")
        if found := _COPY.match(sql):
            return _told(self._copied(session, found))
        return _told(self.house.ask(session.cursor, sql, values))

    def _end(self, session: _Session, how: str) -> None:
        if session.inside:
            session.inside = False
            try:
                session.cursor.execute(how)
            except Exception as error:
                raise Refused("conflict", str(error)) from error

    def _put(self, found: re.Match[str], url: str) -> Any:
        """Where the connector is to put a file: a signed address, as that of a stage in Google's cloud."""
        stage = {
            "locationType": "GCS",
            "location": f"stage/{found[2]}/",
            "path": f"{found[2]}/",
            "region": "",
            "storageAccount": None,
            "isClientSideEncrypted": False,
            "creds": {},
            "presignedUrl": f"{url}/stage/{found[2]}",
        }
        data = {
            "command": "UPLOAD",
            "src_locations": [found[1].removeprefix("file://")],
            "autoCompress": False,
            "overwrite": True,
            "sourceCompression": "none",
            "parallel": 1,
            "threshold": 1 << 26,
            "stageInfo": stage,
            "encryptionMaterial": None,
            "statementTypeId": 0x5000,
            "queryId": str(uuid.uuid4()),
            "parameters": [],
        }
        return {"data": data, "code": None, "message": None, "success": True}

    def _described(self, found: re.Match[str]) -> Answer:
        schema, table = (part.replace('""', '"') for part in found.groups())
        columns = self.house.columns(schema, table)
        if not columns:
            raise Refused("missing", f"Object '{table.upper()}' does not exist or not authorized.")
        names = ["name", "type", "kind", "null?", "default"]
        rows = [(name.upper(), _snow(kind), "COLUMN", "Y" if null else "N", None) for name, kind, null in columns]
        return Answer(names, ["VARCHAR"] * len(names), rows)

    def _copied(self, session: _Session, found: re.Match[str]) -> Answer:
        picked = self.house.translated("SELECT " + re.sub(r"\$1:(C\d+)", r'"\1"', found[2]))
        into = self.house.translated(f"SELECT * FROM {found[1]}").removeprefix("SELECT * FROM ")
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            file.write(self._files.pop(found[3]))
            file.flush()
            insert = f"INSERT INTO {into} {picked} FROM read_parquet('{file.name}')"
            wrote = self.house.ask_duck(session.cursor, insert).wrote
        names, kinds = ["file", "status", "rows_loaded"], ["VARCHAR", "VARCHAR", "BIGINT"]
        return Answer(names, kinds, [(found[3], "LOADED", wrote)])


def _value(bound: dict[str, Any]) -> Any:
    kind, value = bound["type"], bound["value"]
    if value is None:
        return None
    made: dict[str, Callable[[str], Any]] = {
        "FIXED": int,
        "REAL": float,
        "BOOLEAN": lambda text: text.lower() == "true",
    }
    return made.get(kind, str)(value)


def _snow(kind: str) -> str:
    """DuckDB's type, as DESCRIBE TABLE shows it."""
    if kind.startswith("DECIMAL"):
        return "NUMBER({},{})".format(*digits(kind))
    return {
        "VARCHAR": "VARCHAR(16777216)",
        "DOUBLE": "FLOAT",
        "JSON": "VARIANT",
        "BLOB": "BINARY(8388608)",
        "TIMESTAMP": "TIMESTAMP_NTZ(6)",
        "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_TZ(6)",
        "TIME": "TIME(6)",
        "BIGINT": "NUMBER(38,0)",
        "INTEGER": "NUMBER(38,0)",
    }.get(kind, kind)


def _row_type(name: str, kind: str) -> dict[str, Any]:
    precision: int | None = None
    scale: int | None = None
    if kind.startswith("DECIMAL"):
        precision, scale = digits(kind)
    elif "INT" in kind and "INTERVAL" not in kind:
        precision, scale = (38 if kind == "HUGEINT" else 18), 0
    elif kind.startswith("TIME"):
        scale = 6
    known = {
        "VARCHAR": "text", "DOUBLE": "real", "FLOAT": "real", "JSON": "variant", "BLOB": "binary", "DATE": "date",
        "TIMESTAMP": "timestamp_ntz", "TIMESTAMP WITH TIME ZONE": "timestamp_tz", "TIME": "time", "BOOLEAN": "boolean",
    }  # fmt: skip
    told = "fixed" if precision is not None else known.get(kind, "text")
    length = {"text": 16_777_216, "binary": 8_388_608}.get(told)
    return {
        "name": name if name.startswith("number of") else name.upper(),
        "database": "", "schema": "", "table": "", "nullable": True, "type": told,
        "length": length, "byteLength": length, "precision": precision, "scale": scale, "collation": None,
    }  # fmt: skip


def _cell(value: Any, kind: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime.datetime):
        since = microseconds(value)
        seconds, rest = divmod(abs(since), 1_000_000)
        sign = "-" if since < 0 else ""
        return f"{sign}{seconds}.{rest:06}" + (" 1440" if kind.endswith("ZONE") else "")
    if isinstance(value, datetime.date):
        return str((value - EPOCH.date()).days)
    if isinstance(value, datetime.time):
        whole = value.hour * 3600 + value.minute * 60 + value.second
        return f"{whole}.{value.microsecond:06}"
    return bytes(value).hex().upper() if isinstance(value, (bytes, bytearray)) else decimal_text(value)


def _told(answer: Answer) -> Any:
    written = not answer.names
    shown = Answer(["number of rows inserted"], ["BIGINT"], [(answer.wrote,)]) if written else answer
    rows = [[_cell(value, kind) for value, kind in zip(row, shown.types, strict=True)] for row in shown.rows]
    data = {
        "parameters": [{"name": "TIMEZONE", "value": "UTC"}],
        "rowtype": [_row_type(name, kind) for name, kind in zip(shown.names, shown.types, strict=True)],
        "rowset": rows,
        "total": len(rows),
        "returned": len(rows),
        "queryId": str(uuid.uuid4()),
        "statementTypeId": 0x3100 if written else 0x1000,
        "numberOfBinds": 0,
        "arrayBindSupported": False,
        "version": 1,
        "queryResultFormat": "json",
    }
    if written:
        data["stats"] = {
            "numRowsInserted": answer.wrote,
            "numRowsUpdated": 0,
            "numRowsDeleted": 0,
            "numDmlDuplicates": 0,
        }
    return {"data": data, "code": None, "message": None, "success": True}


def _refusal(number: str, state: str, text: str) -> Reply:
    data = {"errorCode": number, "sqlState": state, "queryId": str(uuid.uuid4()), "internalError": False}
    return Reply({"data": data, "code": number, "message": text, "success": False, "headers": None})
