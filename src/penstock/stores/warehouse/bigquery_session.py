"""A connection to BigQuery."""

from __future__ import annotations

import datetime
import io
import random
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.core.errors import ConfigurationError, DataError, PipeTakenOver, SinkUnavailable
from penstock.core.extras import require
from penstock.core.sqltext import quoted
from penstock.engine.connections.databases import BigQueryConnection
from penstock.stores.warehouse.bigquery_values import base_of, batches, column_of, file_of, parameter, staging
from penstock.stores.warehouse.cloud import CloudSession, Statement, in_pieces
from penstock.stores.warehouse.columns import Column, is_text
from penstock.stores.warehouse.database import Conflict, RowsRefused
from penstock.stores.warehouse.names import Name

if TYPE_CHECKING:
    import pyarrow as pa

bigquery: Any = require("google.cloud.bigquery", "bigquery")
_refused: Any = require("google.api_core.exceptions", "bigquery")
_auth: Any = require("google.auth.exceptions", "bigquery")
_requests: Any = require("requests.exceptions", "bigquery")

_TAKEN_OVER = "penstock: the pipe was taken over"
_STAGED_FOR = datetime.timedelta(days=1)
_PAUSE = 0.5
_BAD_VALUES = re.compile(
    r"Bad \w+ value|Could not (cast|parse)|[Ii]nvalid (date|time|datetime|timestamp|NUMERIC|BIGNUMERIC)|out of range"
    r"|overflow|[Cc]annot be null|[Mm]issing required|[Rr]equired (field|column)|too long|[Mm]aximum length"
    r"|Failed to parse|division by zero",
)
_CONFLICTS = re.compile(r"concurrent update|could not serialize", re.IGNORECASE)


class Verbatim(str):
    """A statement as a user wrote it, with BigQuery's quotes."""


class BigQuerySession(CloudSession):
    """A client, and a transaction to be."""

    def __init__(self, client: Any, connection: BigQueryConnection, seconds: float) -> None:
        super().__init__()
        self._client = client
        self._connection = connection
        self._seconds = seconds
        self._retry = bigquery.DEFAULT_RETRY.with_timeout(seconds)

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """See `CloudSession.execute`."""
        with translated(self._connection):
            job = self._asked(*_written([Statement(sql, values)]))
            job.result(retry=self._retry, job_retry=None)
            return job.num_dml_affected_rows or 0

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Session.rows`."""
        with translated(self._connection):
            found = self._asked(*_written([Statement(sql, values)])).result(retry=self._retry, job_retry=None)
            return [tuple(row) for row in found]

    def read(self, sql: str, values: Sequence[Any], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """See `Session.read`."""
        with translated(self._connection):
            job = self._asked(*_written([Statement(sql, values)]))
            found = job.result(page_size=batch_rows, retry=self._retry, job_retry=None)
            if not found.schema:
                raise DataError("This statement gives no rows.", hint="execute() is for statements without an answer")
            yield from batches(found)

    def commit(self, statements: Sequence[Statement]) -> None:
        """See `CloudSession.commit`: a script of one job, which is rolled back where one of its statements fails."""
        sql, parameters = _written(statements)
        try:
            with translated(self._connection):
                job = self._asked(f"BEGIN TRANSACTION;\n{sql};\nCOMMIT TRANSACTION;", parameters)
                job.result(retry=self._retry, job_retry=None)
        except Conflict:
            time.sleep(random.uniform(0, _PAUSE))  # the others may be through when it is tried again
            raise

    def load(self, rows: pa.Table, columns: Sequence[Column]) -> tuple[str, str]:
        """See `CloudSession.load`: a table that BigQuery drops by itself after a day, and a load job."""
        name = f"penstock_rows_{uuid.uuid4().hex}"
        names = [f"c{number}" for number in range(len(columns))]
        kinds = [staging(column) for column in columns]
        fields = [bigquery.SchemaField(short, kind) for short, kind in zip(names, kinds, strict=True)]
        config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")
        data = file_of(rows, columns, names)
        with translated(self._connection):
            table = bigquery.Table(self._reference(Name(self.schema, name)), fields)
            table.expires = datetime.datetime.now(datetime.UTC) + _STAGED_FOR
            self._client.create_table(table, retry=self._retry, timeout=self._seconds)
            file = io.BytesIO(data)
            job = self._client.load_table_from_file(file, table.reference, size=len(data), job_config=config)
            job.result(retry=self._retry)
        taken = [_expression(short, column) for short, column in zip(names, columns, strict=True)]
        return quoted(self.schema, name), ", ".join(taken)

    def described(self, table: Name) -> list[Column]:
        """See `Session.columns`."""
        with translated(self._connection):
            try:
                found = self._client.get_table(self._reference(table), retry=self._retry, timeout=self._seconds)
            except _refused.NotFound:
                return []
            return [column_of(field) for field in found.schema]

    def make_dataset(self, name: str) -> None:
        """Make a dataset where there is none; no right to make some is needed where there is one."""
        with translated(self._connection):
            place = bigquery.DatasetReference(self._client.project, name)
            try:
                self._client.get_dataset(place, retry=self._retry, timeout=self._seconds)
            except _refused.NotFound:
                made = bigquery.Dataset(place)
                made.location = self._connection.location
                self._client.create_dataset(made, exists_ok=True, retry=self._retry, timeout=self._seconds)

    def _reference(self, table: Name) -> Any:
        return bigquery.DatasetReference(self._client.project, table.schema).table(table.table)

    def _asked(self, sql: str, parameters: Sequence[Any]) -> Any:
        config = bigquery.QueryJobConfig(query_parameters=list(parameters))
        if self._connection.dataset:
            config.default_dataset = f"{self._client.project}.{self._connection.dataset}"
        return self._client.query(sql, config, retry=self._retry, timeout=self._seconds, job_retry=None)


def _written(statements: Sequence[Statement]) -> tuple[str, list[Any]]:
    """Statements as BigQuery has them, with their parameters, which are numbered through."""
    parameters: list[Any] = []
    made: list[str] = []
    for statement in statements:
        numbers: dict[int, str] = {}
        text = []
        for piece, number in in_pieces(statement.sql):
            if number is not None and statement.values:
                text.append(_place(number, statement.values, numbers, parameters))
            elif piece.startswith('"') and not isinstance(statement.sql, Verbatim):
                text.append("`" + piece[1:-1].replace('""', '"') + "`")
            else:
                text.append(piece)
        if len(numbers) != len(statement.values):
            raise DataError(f"{len(statement.values)} values are given, and {len(numbers)} of them are used.")
        made.append("".join(text).strip())
        if statement.claims:
            made.append(f"ASSERT @@row_count = 1 AS '{_TAKEN_OVER}'")
    return ";\n".join(made), parameters


def _place(number: int, values: Sequence[Any], numbers: dict[int, str], parameters: list[Any]) -> str:
    """The parameter for a `$1`."""
    if number not in numbers:
        if not 1 <= number <= len(values):
            raise DataError(f"The statement has a ${number}, and there are {len(values)} values.")
        numbers[number] = f"p{len(parameters) + 1}"
        parameters.append(parameter(bigquery, numbers[number], values[number - 1]))
    return f"@{numbers[number]}"


def _expression(short: str, column: Column) -> str:
    """What makes the value of a column of that of its staging table."""
    name = quoted(column.name)
    if column.form == "json":
        return f"PARSE_JSON({short}, wide_number_mode=>'round') AS {name}"
    if staging(column) == "STRING" and not (is_text(column.kind) and column.form == "plain"):
        return f"CAST({short} AS {base_of(column.sql)}) AS {name}"
    return f"{short} AS {name}"


@contextmanager
def translated(connection: BigQueryConnection) -> Iterator[None]:
    """Errors of the client in Penstock's words; without its frames, which know the credentials."""
    problem: Exception | None = None
    try:
        yield
    except (_refused.GoogleAPIError, _auth.GoogleAuthError, _requests.RequestException) as error:
        problem = _translation(connection, error)
    if problem is not None:
        raise problem from None


def _translation(connection: BigQueryConnection, error: Any) -> Exception:
    place = f"bigquery://{connection.project}"
    line = re.sub(r"\s+", " ", connection.redact(getattr(error, "message", None) or str(error))).strip()[:500]
    reasons = {str(each.get("reason")) for each in getattr(error, "errors", None) or () if isinstance(each, dict)}
    code = getattr(error, "code", None)
    if _TAKEN_OVER in line:
        return PipeTakenOver()
    if isinstance(error, _auth.GoogleAuthError) or code == 401:
        return ConfigurationError(
            f"{place} does not let us in: {type(error).__name__}: {line}",
            hint="give credentials_file, or log in: gcloud auth application-default login",
        )
    if _CONFLICTS.search(line):
        return Conflict(line)
    if reasons & {"quotaExceeded", "rateLimitExceeded", "resourcesExceeded"} or code == 429:
        return SinkUnavailable(f"{place} does no more for now: {line}", hint="wait, or ask for a larger quota")
    if reasons & {"billingNotEnabled", "billingTierLimitExceeded"}:
        return SinkUnavailable(f"{place} is not paid for: {line}", hint="give the project a billing account")
    if code == 403:
        return DataError(f"BigQuery refused: {line}", hint="grant roles/bigquery.dataEditor and roles/bigquery.jobUser")
    if code in (400, 404, 409):
        return RowsRefused(line) if _BAD_VALUES.search(line) else DataError(f"BigQuery refused: {line}")
    return SinkUnavailable(f"{place} cannot be used: {line}", hint="check the network, and go on when it is there")
