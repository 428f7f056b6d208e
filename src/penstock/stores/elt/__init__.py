"""Models in SQL: files with a query, which tasks make into tables and views of the warehouse."""

from penstock.stores.elt.failures import BadModel, ModelFailed
from penstock.stores.elt.folder import SqlFolder
from penstock.stores.elt.lineage import Lineage, Origin, lineage_of
from penstock.stores.elt.models import Model
from penstock.stores.elt.tasks import Materialized, sql_task

__all__ = [
    "BadModel",
    "Lineage",
    "Materialized",
    "Model",
    "ModelFailed",
    "Origin",
    "SqlFolder",
    "lineage_of",
    "sql_task",
]
