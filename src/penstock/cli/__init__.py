"""The command line."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """The `penstock` command; ends the process with its exit code."""
    from penstock.cli.root import call

    sys.exit(call(sys.argv[1:]))
