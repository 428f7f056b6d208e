"""A SQL file as a task."""

from __future__ import annotations

import datetime
import decimal
import inspect
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.authoring import Task
from penstock.authoring.parameters import bind
from penstock.core.errors import ParameterTypeError
from penstock.engine.runtime import task_run
from penstock.stores.elt.failures import ModelFailed, place, refuse
from penstock.stores.elt.models import Model, drafted
from penstock.stores.elt.telling import tell
from penstock.stores.elt.warehouses import Where, opened, turn
from penstock.stores.warehouse.materializing import Plan, QueryRefused
from penstock.stores.warehouse.names import TableName, parsed
from penstock.stores.warehouse.warehouse import ANALYTICS, Warehouse

_VALUES = (
    str, int, float, decimal.Decimal, bytes, datetime.date, datetime.time, datetime.timedelta, uuid.UUID,
)  # fmt: skip


@dataclass(frozen=True)
class Materialized:
    """What a model was made into.

    Attributes:
        table: what was made: `analytics.daily_revenue`.
        kind: `table`, `view` or `incremental`.
        rows: how many were written; 0 for a view.
        seconds: it took in the warehouse.
        query: as it was executed.
    """

    table: str
    kind: str
    rows: int
    seconds: float
    query: str


def sql_task(
    file: str | Path,
    *,
    warehouse: Where = None,
    inputs: Mapping[str, TableName] | None = None,
    variables: Mapping[str, Any] | None = None,
    schema: str = ANALYTICS,
    adopt: bool = False,
    **options: Any,
) -> Task[..., Materialized]:
    """A task that makes a query into a table or a view, in one transaction, in the warehouse.

    It is called with the parameters that the file names with `param(...)`; an incremental model also takes
    `full_refresh=True`.

    Args:
        file: with the query; beside the file that declares the task, or in the working folder.
        warehouse: where it is executed: a Warehouse, its URL, or a function that gives one. By default it is the file
            `warehouse.duckdb` in Penstock's home folder.
        inputs: the tables that stand for `ref("name")`.
        variables: values of `var("name")`. They become part of the query.
        schema: of what is made, when the file does not say.
        adopt: let it take the place of a table or a view that no SQL model made.
        options: of the task, see `@task`.

    Raises:
        BadModel: with every mistake in the file.
    """
    path, shown = beside(file, sys._getframe(1).f_globals.get("__file__")), str(file)
    tables = {name: parsed(table, schema) for name, table in (inputs or {}).items()}
    draft = drafted(path, shown, variables or {}, schema)
    mistakes = list(draft.mistakes)
    refs = draft.template.facts.refs
    if not mistakes:
        mistakes += [f'{shown}: ref("{ref}") is not among the inputs' for ref in refs if ref not in tables]
        unused = [name for name in tables if name not in refs]
        mistakes += [f'{shown}: there is no ref("{name}") in it, which is among the inputs' for name in unused]
    hint = 'say which tables the refs are: inputs={"orders": "processed_data.orders"}' if not draft.mistakes else None
    refuse(f"the SQL model {draft.name}", mistakes, hint)
    return task_of(draft.model(variables or {}, tables), warehouse, adopt=adopt, **options)


def task_of(model: Model, warehouse: Where, *, adopt: bool = False, **options: Any) -> Task[..., Materialized]:
    """The task of a model; see `sql_task`."""
    signature = _signature(model)
    target = f"SQL model {model.name!r}"

    def run(*args: Any, **kwargs: Any) -> Materialized:
        given = bind(target, signature, args, kwargs)
        afresh = bool(given.pop("full_refresh", False))
        check_values(target, given)
        with opened(warehouse) as where:
            return _made(model, where, given, afresh=afresh, adopt=adopt)

    named: Any = run
    named.__name__, named.__qualname__ = model.name, f"sql_task.<locals>.{model.name}"
    named.__doc__ = f"Make {model.config.table} of the query in {model.file}."
    named.__signature__, named.model = signature, model
    return Task(named, **{"name": model.name, **options})


def check_values(target: str, given: Mapping[str, Any]) -> None:
    """See that the database can be given these values.

    Raises:
        ParameterTypeError: with all that it cannot.
    """
    wrong = [
        (name, f"a {type(value).__name__} is no value for a query; numbers, texts, dates and lists of these are")
        for name, value in given.items()
        if not _is_value(value)
    ]
    if wrong:
        raise ParameterTypeError(target, wrong)


def _is_value(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(item is None or isinstance(item, _VALUES) for item in value)
    return value is None or isinstance(value, _VALUES)


def _made(model: Model, warehouse: Warehouse, given: Mapping[str, Any], *, afresh: bool, adopt: bool) -> Materialized:
    """Make the model in the warehouse, once for each task run."""
    config, made_for = model.config, task_run.id
    asked: list[str] = []

    def ask(adding: bool) -> tuple[str, tuple[Any, ...]]:
        rendered = model.query(incremental=adding, params=given)
        asked.append(rendered.sql)
        return rendered.sql, tuple(list(value) if isinstance(value, tuple) else value for value in rendered.values)

    plan = Plan(
        ask=ask,
        kind=config.kind,
        keys=config.keys,
        strategy=config.strategy,
        on_change=config.on_change,
        indexes=config.indexes,
        afresh=afresh,
        adopt=adopt,
        made_for=made_for,
    )
    with turn(warehouse), _placed(model, asked):
        made = warehouse.materialize((config.table.schema, config.table.table), plan)
    tell(warehouse, model, made, made_for)
    return Materialized(str(config.table), made.kind, made.rows, made.seconds, made.query)


@contextmanager
def _placed(model: Model, asked: list[str]) -> Iterator[None]:
    """What the database says of the query, with the line of the file."""
    try:
        yield
    except QueryRefused as error:
        line = model.line(asked[-1], error.line) if asked else None
        raise ModelFailed(f"{place(model.file, line)}: {error.message}", hint=error.hint) from error


def _signature(model: Model) -> inspect.Signature:
    """The parameters of a model's task, all of them by name."""
    by_name = inspect.Parameter.KEYWORD_ONLY
    taken = [inspect.Parameter(name, by_name, default=default) for name, default in model.params.items()]
    if model.config.kind == "incremental":
        taken.append(inspect.Parameter("full_refresh", by_name, default=False))
    return inspect.Signature(taken)


def beside(named: str | Path, file: str | None) -> Path:
    """A path as it was named in a file: beside that file, or in the working folder."""
    path = Path(named)
    here = Path(file).parent / path if file and not path.is_absolute() else path
    return here if here.exists() else path
