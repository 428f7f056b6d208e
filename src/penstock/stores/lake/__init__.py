"""A lake of Delta tables, in a folder or on S3."""

from penstock.stores.lake.address import at
from penstock.stores.lake.lake import Lake
from penstock.stores.lake.table import LakeTable, table_at

__all__ = ["Lake", "LakeTable", "at", "table_at"]
