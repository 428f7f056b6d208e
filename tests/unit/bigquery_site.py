"""BigQuery's REST API, as far as the client needs it here, before a DuckDB database.

It is strict where the service is said to be: a statement that makes or changes a table may not be in a transaction,
and a load is none of a transaction's business.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
import tempfile
import uuid
from collections.abc import Callable
from typing import Any

from sqlglot import exp
from tests.unit.api_server import Reply, Request
from tests.unit.duckhouse import Answer, DuckHouse, Refused, T, decimal_text, digits, microseconds, retyped

_DDL = re.compile(r"\s*(CREATE|ALTER|DROP)\b", re.IGNORECASE)
_ROUND = ", wide_number_mode=>'round'"
_ASSERT = re.compile(r"ASSERT @@row_count = (\d+) AS '(.*)'")
_BEGIN, _COMMIT = "BEGIN TRANSACTION;\n", ";\nCOMMIT TRANSACTION;"
_REASONS = {
    "syntax": (400, "invalidQuery"),
    "missing": (404, "notFound"),
    "column": (400, "invalidQuery"),
    "value": (400, "invalidQuery"),
    "null": (400, "invalidQuery"),
    "conflict": (400, "invalidQuery"),
}
_TELLS = {
    "value": "Bad value: Could not cast: ",
    "null": "Required field cannot be null: ",
    "conflict": "Transaction is aborted due to concurrent update against table: ",
}
_TYPES = retyped(
    {
        T.FLOAT: "DOUBLE",
        T.TIMESTAMPTZ: "TIMESTAMPTZ",
        T.DATETIME: "TIMESTAMP",
        T.TIMESTAMP: "TIMESTAMP",
        T.BINARY: "BLOB",
        T.VARBINARY: "BLOB",
    }
)


def _changed(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.DataType) and node.this in (T.DECIMAL, T.BIGDECIMAL):
        given = [int(one.name) for one in node.expressions]
        usual = [38, 9] if node.this == T.DECIMAL else [38, 10]
        return exp.DataType.build("DECIMAL({},{})".format(*(given or usual)), dialect="duckdb")
    if isinstance(node, exp.PrimaryKey):
        return exp.PrimaryKey(expressions=node.expressions)
    return _TYPES(node)


class BigQuerySite:
    """The service.

    Attributes:
        house: what is behind it.
        refuse: gives an error (HTTP status, reason, text) for a statement that it does not like; for tests.
        log: what was executed, in order.
    """

    def __init__(self) -> None:
        self.house = DuckHouse("bigquery", _changed)
        self.refuse: Callable[[str], tuple[int, str, str] | None] = lambda sql: None
        self.log: list[str] = []
        self._jobs: dict[str, Any] = {}
        self._answers: dict[str, Answer] = {}

    def __call__(self, request: Request) -> Any:
        path = request.path.removeprefix("/upload").removeprefix("/bigquery/v2/projects/").split("/")
        try:
            if request.path.startswith("/upload"):
                return self._load(request)
            match request.method, *path[1:]:
                case "POST", "jobs":
                    return self._job(request.json)
                case "GET", "jobs", name:
                    return self._jobs[name]
                case "GET", "queries", name:
                    return self._results(name, request.query)
                case "GET", "datasets", schema:
                    return self._dataset(schema)
                case "POST", "datasets":
                    return self._make_dataset(request.json["datasetReference"]["datasetId"])
                case "POST", "datasets", schema, "tables":
                    return self._make_table(schema, request.json)
                case "GET", "datasets", schema, "tables", table:
                    return self._table(schema, table)
        except Refused as refused:
            status, reason = _REASONS[refused.kind]
            return _refusal(status, reason, _TELLS.get(refused.kind, "") + str(refused))
        return _refusal(501, "notImplemented", f"the stand-in has no {request.method} {request.path}")

    def forget(self) -> None:
        """Processes are dead; a job does not care."""

    def _dataset(self, schema: str) -> Any:
        found = (
            self.house.cursor()
            .execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = $1", [schema])
            .fetchall()
        )
        told = {"datasetReference": {"projectId": "shop", "datasetId": schema}}
        return told if found else _refusal(404, "notFound", f"Not found: Dataset shop:{schema}")

    def _make_dataset(self, schema: str) -> Any:
        self.house.cursor().execute(f'CREATE SCHEMA "{schema}"')
        return {"datasetReference": {"projectId": "shop", "datasetId": schema}}

    def _make_table(self, schema: str, given: Any) -> Any:
        table = given["tableReference"]["tableId"]
        assert given.get("expirationTime"), "a staging table is dropped by itself"
        columns = ", ".join(f"`{one['name']}` {one['type']}" for one in given["schema"]["fields"])
        self.house.ask(self.house.cursor(), f"CREATE TABLE `{schema}`.`{table}` ({columns})")
        return self._table(schema, table)

    def _table(self, schema: str, table: str) -> Any:
        fields = [_field(*column) for column in self.house.columns(schema, table)]
        if not fields:
            return _refusal(404, "notFound", f"Not found: Table shop:{schema}.{table}")
        reference = {"projectId": "shop", "datasetId": schema, "tableId": table}
        return {"tableReference": reference, "schema": {"fields": fields}, "type": "TABLE"}

    def _load(self, request: Request) -> Any:
        boundary = re.search(r'boundary="?([^";]+)', request.headers["content-type"])
        assert boundary is not None
        _, told, data, _ = request.body.split(b"--" + boundary[1].encode())
        job = json.loads(told.partition(b"\r\n\r\n")[2] or told.partition(b"\n\n")[2])
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            content = data.partition(b"\r\n\r\n")[2]
            file.write(content.removesuffix(b"\r\n"))
            file.flush()
            into = job["configuration"]["load"]["destinationTable"]
            place = f'"{into["datasetId"]}"."{into["tableId"]}"'
            self.house.ask_duck(
                self.house.cursor(), f"INSERT INTO {place} BY NAME SELECT * FROM read_parquet('{file.name}')"
            )
        self.log.append(f"LOAD {place}")
        return self._done(job, Answer([], [], []))

    def _job(self, job: Any) -> Any:
        query = job["configuration"]["query"]
        sql = query["query"]
        self.log.append(sql)
        if problem := self.refuse(sql):
            return _refusal(*problem)
        if job["configuration"].get("dryRun"):
            return self._done(job, Answer([], [], []))
        values = {one["name"]: _literal(one) for one in query.get("queryParameters", ())}
        try:
            return self._done(job, self._executed(sql, values))
        except Refused as refused:
            reason = _REASONS[refused.kind][1]
            problem_text = _TELLS.get(refused.kind, "") + str(refused)
            result = {"reason": reason, "message": problem_text, "location": "query"}
            return self._done(job, Answer([], [], []), result)

    def _executed(self, sql: str, values: dict[str, exp.Expression]) -> Answer:
        cursor = self.house.cursor()
        if not sql.startswith(_BEGIN):
            return self._one(cursor, sql, values)
        cursor.execute("BEGIN TRANSACTION")
        wrote = 0
        try:
            for each in sql.removeprefix(_BEGIN).removesuffix(_COMMIT).split(";\n"):
                if found := _ASSERT.fullmatch(each):
                    if wrote != int(found[1]):
                        raise Refused("syntax", f"Assertion failed: {found[2]}")
                    continue
                if _DDL.match(each):
                    raise Refused("syntax", "Transaction control statements do not support DDL")
                wrote = self._one(cursor, each, values).wrote
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        self.house.ask_duck(cursor, "COMMIT")
        return Answer([], [], [], wrote)

    def _one(self, cursor: Any, sql: str, values: dict[str, exp.Expression]) -> Answer:
        written = re.sub(
            r"'(?:[^'\\]|\\.)*'|`[^`]*`|@(p\d+)",
            lambda found: found[0] if found[1] is None else values[found[1]].sql(dialect="bigquery"),
            sql.replace(_ROUND, ""),
        )
        return self.house.ask(cursor, written)

    def _done(self, job: Any, answer: Answer, problem: Any = None) -> Any:
        name = (job.get("jobReference") or {}).get("jobId") or uuid.uuid4().hex
        status: dict[str, Any] = {"state": "DONE"}
        if problem:
            status |= {"errorResult": problem, "errors": [problem]}
        told = {
            "kind": "bigquery#job",
            "id": f"shop:EU.{name}",
            "jobReference": {"projectId": "shop", "jobId": name, "location": "EU"},
            "configuration": job["configuration"],
            "status": status,
            "statistics": {
                "query": {
                    "numDmlAffectedRows": str(answer.wrote),
                    "statementType": "SELECT" if answer.names else "SCRIPT",
                }
            },
        }
        self._jobs[name], self._answers[name] = told, answer
        return told

    def _results(self, name: str, query: dict[str, str]) -> Any:
        job, answer = self._jobs[name], self._answers[name]
        if problem := job["status"].get("errorResult"):
            status = 404 if problem["reason"] == "notFound" else 400
            return _refusal(status, problem["reason"], problem["message"])
        start = int(query.get("pageToken") or query.get("startIndex") or 0)
        most = int(query["maxResults"]) if "maxResults" in query else len(answer.rows)
        some = answer.rows[start : start + most]
        told: dict[str, Any] = {
            "kind": "bigquery#getQueryResultsResponse",
            "jobReference": job["jobReference"],
            "jobComplete": True,
            "totalRows": str(len(answer.rows)),
            "numDmlAffectedRows": str(answer.wrote),
        }
        if answer.names:
            kinds = answer.types
            told["schema"] = {"fields": [_field(n, t, True) for n, t in zip(answer.names, kinds, strict=True)]}
            told["rows"] = [{"f": [{"v": _cell(v, t)} for v, t in zip(row, kinds, strict=True)]} for row in some]
            if start + len(some) < len(answer.rows):
                told["pageToken"] = str(start + len(some))
        return told


def _literal(given: Any) -> exp.Expression:
    """A parameter, as an expression."""
    kind, value = given["parameterType"]["type"], given["parameterValue"].get("value")
    literal: exp.Expression = exp.null() if value is None else exp.Literal.string(value)
    if kind == "BYTES" and value is not None:
        return exp.Anonymous(this="UNHEX", expressions=[exp.Literal.string(base64.b64decode(value).hex())])
    return exp.Cast(this=literal, to=exp.DataType.build(kind, dialect="bigquery"))


def _field(name: str, kind: str, null: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "mode": "NULLABLE" if null else "REQUIRED"}
    if kind.startswith("DECIMAL"):
        precision, scale = digits(kind)
        small = scale <= 9 and precision - scale <= 29
        return told | {"type": "NUMERIC" if small else "BIGNUMERIC", "precision": str(precision), "scale": str(scale)}
    known = {
        "VARCHAR": "STRING", "DOUBLE": "FLOAT", "JSON": "JSON", "BLOB": "BYTES", "DATE": "DATE", "TIME": "TIME",
        "TIMESTAMP": "DATETIME", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "BOOLEAN": "BOOLEAN",
        "BIGINT": "INTEGER", "INTEGER": "INTEGER", "HUGEINT": "INTEGER",
    }  # fmt: skip
    return told | {"type": known[kind]}


def _cell(value: Any, kind: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN" if math.isnan(value) else repr(value))
    if isinstance(value, datetime.datetime):
        return str(microseconds(value)) if kind.endswith("ZONE") else value.isoformat()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, (bytes, bytearray)) else decimal_text(value)


def _refusal(status: int, reason: str, text: str) -> Reply:
    errors = [{"reason": reason, "message": text, "domain": "global"}]
    return Reply({"error": {"code": status, "message": text, "errors": errors}}, status)
