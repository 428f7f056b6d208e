"""SELECT, for databases whose SQL is close enough to the standard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from penstock.connectors.sql.systems import Ask
from penstock.core.sqltext import quoted

Literal = Callable[[str, Any], str]
"""A value as SQL, to be compared with a column."""


def select(columns: Sequence[str], source: str, ask: Ask, literal: Literal) -> str:
    """A query for the rows that are asked for.

    Args:
        columns: SQL of each column.
        source: what comes after FROM; its columns are known as `t`'s.
        ask: which rows.
        literal: makes SQL of values. Those of `Ask.after` are what `Page.last` was.
    """
    conditions = []
    if ask.after is not None:
        names = ", ".join(quoted("t", name) for name in ask.order)
        values = ", ".join(literal(name, value) for name, value in zip(ask.order, ask.after, strict=True))
        conditions.append(f"({names}) > ({values})")
    if ask.since is not None:
        column, least = ask.since
        conditions.append(f"{quoted('t', column)} IS NOT NULL")
        if least is not None:
            conditions.append(f"{quoted('t', column)} >= {literal(column, least)}")
    if ask.span is not None:
        column, least, end = ask.span
        conditions += [f"{quoted('t', column)} >= {least}"] if least is not None else []
        conditions += [f"{quoted('t', column)} < {end}"] if end is not None else []
    text = f"SELECT {', '.join(columns)} FROM {source}"
    text += f" WHERE {' AND '.join(conditions)}" if conditions else ""
    text += f" ORDER BY {', '.join(quoted('t', name) for name in ask.order)}" if ask.order else ""
    return text + (f" OFFSET {ask.skip}" if ask.skip else "")
