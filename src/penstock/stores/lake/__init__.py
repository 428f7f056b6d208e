"""A lake of Delta tables, in a folder or on S3."""

from penstock.stores.lake.address import at
from penstock.stores.lake.lake import Lake

__all__ = ["Lake", "at"]
