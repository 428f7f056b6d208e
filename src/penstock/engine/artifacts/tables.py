"""Tables as plain data: lists, dicts, and frames of Polars, pandas and Arrow."""

from __future__ import annotations

from typing import Any

from penstock.core.errors import BadArtifact

_FRAMES = {
    ("polars", "DataFrame"): lambda frame: frame.to_dicts(),
    ("pandas", "DataFrame"): lambda frame: frame.to_dict("records"),
    ("pyarrow", "Table"): lambda frame: frame.to_pylist(),
    ("pyarrow", "RecordBatch"): lambda frame: frame.to_pylist(),
}
_LEAST_BYTES = 4
"""Of a cell in JSON: a digit, a comma, and a share of the quotes around the name of its column."""


def rows_of(table: Any, most_bytes: int) -> Any:
    """A table as it is where it is plain already; a frame as a list of rows.

    Args:
        table: what somebody takes for a table.
        most_bytes: a frame that has more in any case is not even looked through.

    Raises:
        BadArtifact: it is none, or it is too large.
    """
    package, kind = type(table).__module__.split(".")[0], type(table).__name__
    convert = _FRAMES.get((package, kind))
    if convert is not None:
        cells = table.shape[0] * table.shape[1]
        if cells * _LEAST_BYTES > most_bytes:
            raise BadArtifact(
                f"A table of {table.shape[0]:,} rows and {table.shape[1]:,} columns is too large to look at: an "
                f"artifact has {most_bytes:,} bytes at most.",
                hint="keep the whole of it as the result of a task, and show a part: table.head(100)",
            )
        return convert(table)
    if (package, kind) == ("polars", "LazyFrame"):
        raise BadArtifact("A lazy frame has no rows yet.", hint="collect it first: table.head(100).collect()")
    if isinstance(table, dict) and all(isinstance(column, (list, tuple)) for column in table.values()):
        return table
    if isinstance(table, (list, tuple)) and (
        all(isinstance(row, dict) for row in table) or all(isinstance(row, (list, tuple)) for row in table)
    ):
        return table
    raise BadArtifact(
        f"{kind} is no table.",
        hint="give a list of dicts, a list of lists, a dict of lists, or a frame of Polars, pandas or Arrow",
    )


def titles_and_rows(content: Any) -> tuple[list[str], list[list[Any]]]:
    """Titles and rows of a table in any of its shapes."""
    if isinstance(content, dict):
        longest = max((len(column) for column in content.values()), default=0)
        columns = [[*column, *[None] * (longest - len(column))] for column in content.values()]
        return list(content), [list(row) for row in zip(*columns, strict=True)]
    if content and isinstance(content[0], dict):
        titles = list(dict.fromkeys(name for row in content for name in row))
        return titles, [[row.get(title) for title in titles] for row in content]
    widest = max((len(row) for row in content), default=0)
    return [""] * widest, [[*row, *[None] * (widest - len(row))] for row in content]
