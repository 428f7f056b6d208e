"""What is recorded of a model that was made: what was read, what was written, and which column came from where."""

from __future__ import annotations

from contextlib import suppress

from penstock.core.context import current_scope
from penstock.core.errors import DatasetNotFound
from penstock.core.ports.data import Counts, Place
from penstock.engine import datasets
from penstock.stores.elt.lineage import Lineage, lineage_of_query
from penstock.stores.elt.models import Model
from penstock.stores.elt.warehouses import dialect_of
from penstock.stores.warehouse import Warehouse
from penstock.stores.warehouse.made import Made
from penstock.stores.warehouse.names import Name


def lineage_in(warehouse: Warehouse, model: Model, sql: str) -> Lineage:
    """Where the columns of a query come from, with what the warehouse knows of the tables that it reads."""
    tables = (*model.relations.values(), *model.sources, model.config.table)
    dialect = dialect_of(warehouse)
    first = lineage_of_query(sql, dialect=dialect, tables=tables)
    columns: dict[Name, list[str]] = {}
    for name in first.inputs:
        with suppress(DatasetNotFound):
            columns[name] = list(warehouse.schema((name.schema, name.table)).names)
    return lineage_of_query(sql, dialect=dialect, columns=columns, tables=tables) if columns else first


def tell(warehouse: Warehouse, model: Model, made: Made, made_for: str | None) -> None:
    """Record what a model read and wrote; what was recorded for the same task run is not recorded again."""
    scope = current_scope.get()
    if scope is None or getattr(scope.live, "engine", None) is None:  # a process of a task runner has no journal
        return
    journal = datasets.journal_of_run()
    if journal is None:
        return
    lineage = lineage_in(warehouse, model, made.query)
    for name in lineage.inputs if made.kind != "view" else ():
        origins = {origin for made_of in (lineage.columns or {}).values() for origin in made_of}
        used = {origin.column for origin in origins if origin.table == name}
        told = f"{made_for}/{name}" if made_for else ""
        address = f"{warehouse.address}#{name}"
        datasets.read(journal, _place(warehouse, name), columns=sorted(used), address=address, id=told)
    table = model.config.table
    what = datasets.Written(
        Counts(read=made.rows, landed=made.rows),
        mode=made.kind,
        id=made_for or "",
        address=f"{warehouse.address}#{table}",
        columns={field.name: str(field.type) for field in warehouse.schema((table.schema, table.table))},
        inputs=[_place(warehouse, name) for name in lineage.inputs],
        lineage={
            column: [(_place(warehouse, origin.table), origin.column) for origin in made_of]
            for column, made_of in (lineage.columns or {}).items()
        },
    )
    datasets.wrote(journal, _place(warehouse, table), what)


def _place(warehouse: Warehouse, name: Name) -> Place:
    return warehouse.table((name.schema, name.table)).place
