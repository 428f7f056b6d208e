"""Models that refer to each other: their order, and which of them are meant by `+name`, `name+` and `tag:x`."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Collection, Mapping, Sequence

from penstock.stores.elt.failures import BadModel

Graph = Mapping[str, Collection[str]]
"""The models that each model refers to."""

_TERM = re.compile(r"(?:(\d*)(\+))?([^+]+)(?:(\+)(\d*))?")


def cycles(graph: Graph) -> list[list[str]]:
    """Rings of models that refer to each other, each once, beginning with its first name."""
    state: dict[str, int] = {}
    path: list[str] = []
    found: dict[frozenset[str], list[str]] = {}
    for start in sorted(graph):
        pending: list[tuple[str, bool]] = [(start, False)]
        while pending:
            name, left = pending.pop()
            if left:
                state[name] = 2
                path.pop()
                continue
            if state.get(name) == 1:
                ring = path[path.index(name) :]
                first = ring.index(min(ring))
                found.setdefault(frozenset(ring), [*ring[first:], *ring[:first]])
                continue
            if name in state:
                continue
            state[name] = 1
            path.append(name)
            pending.append((name, True))
            pending += [(each, False) for each in sorted(graph[name], reverse=True) if each in graph]
    return list(found.values())


def in_order(graph: Graph) -> list[str]:
    """The models, each after those that it refers to; of those that could come next, the first by name.

    Raises:
        BadModel: they refer to each other in a ring.
    """
    if rings := cycles(graph):
        raise BadModel(f"Models refer to each other in a ring: {' -> '.join([*rings[0], rings[0][0]])}.")
    done: dict[str, None] = {}
    left = dict.fromkeys(sorted(graph))
    while left:
        ready = next(name for name in left if all(each in done or each not in graph for each in graph[name]))
        done[ready] = None
        del left[ready]
    return list(done)


def waits(graph: Graph, chosen: Collection[str]) -> dict[str, set[str]]:
    """For each model that was chosen, the nearest of the others that it depends on, through whatever is not."""
    found: dict[str, set[str]] = {}
    for name in in_order(graph):
        near: set[str] = set()
        for each in graph[name]:
            if each in graph:
                near |= {each} if each in chosen else found[each]
        found[name] = near
    return {name: found[name] for name in chosen}


def reached(graph: Graph, start: str, steps: int | None) -> set[str]:
    """What a model depends on, so many steps away at most; itself included."""
    found, edge = {start}, {start}
    while edge and steps != 0:
        edge = {each for name in edge for each in graph[name] if each in graph} - found
        found |= edge
        steps = steps - 1 if steps is not None else None
    return found


def turned(graph: Graph) -> dict[str, set[str]]:
    """The models that refer to each model."""
    found: dict[str, set[str]] = {name: set() for name in graph}
    for name, refs in graph.items():
        for each in refs:
            if each in found:
                found[each].add(name)
    return found


def selected(graph: Graph, tags: Mapping[str, Collection[str]], wanted: str | Sequence[str] | None) -> set[str]:
    """The models that are meant, in dbt's way of saying it.

    Args:
        graph: all of them.
        tags: of each.
        wanted: `orders`, `stg_*`, `tag:daily`; `+orders` with all it depends on, `orders+` with all that depends on it,
            `2+orders` with two steps of the former. A blank (or another item of a list) means: and also these; a
            comma: those only that are in both. None means all.

    Raises:
        BadModel: a term names nothing.
    """
    if wanted is None:
        return set(graph)
    terms = wanted.split() if isinstance(wanted, str) else [term for each in wanted for term in each.split()]
    found: set[str] = set()
    for term in terms:
        parts = [_meant(graph, tags, part) for part in term.split(",")]
        found |= set.intersection(*parts)
    return found


def _meant(graph: Graph, tags: Mapping[str, Collection[str]], term: str) -> set[str]:
    read = _TERM.fullmatch(term)
    if read is None:
        raise BadModel(f"{term!r} chooses no models.", hint="write orders, +orders, orders+, stg_* or tag:daily")
    up, with_parents, name, with_children, down = read.groups()
    if name.startswith("tag:"):
        tag = name.removeprefix("tag:")
        named = {model for model in graph if tag in tags.get(model, ())}
        known = sorted({each for some in tags.values() for each in some})
    else:
        named = {model for model in graph if fnmatch.fnmatchcase(model, name)}
        known = sorted(graph)
    if not named:
        close = difflib.get_close_matches(name.removeprefix("tag:"), known, 1)
        there = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known) or 'none'}"
        raise BadModel(f"{term!r} chooses no model.", hint=there)
    found = set(named)
    back = turned(graph) if with_children else {}
    for model in named:
        if with_parents:
            found |= reached(graph, model, int(up) if up else None)
        if with_children:
            found |= reached(back, model, int(down) if down else None)
    return found
