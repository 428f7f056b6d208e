"""Files that appear whole or not at all."""

from penstock.core.files import atomic_write

__all__ = ["atomic_write"]
