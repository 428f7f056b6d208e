"""The order of models, and which of them are chosen, beside slow and plain ways of finding out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.stores.elt import BadModel
from penstock.stores.elt.graph import cycles, in_order, reached, selected, waits

NAMES = "abcdefgh"


@st.composite
def graphs(draw: Any, rings: bool = False) -> dict[str, set[str]]:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    found: dict[str, set[str]] = {}
    for place, name in enumerate(names):
        others = names if rings else names[:place]
        found[name] = draw(st.sets(st.sampled_from([*others, "input"])))
    return found


def above(graph: dict[str, set[str]], name: str) -> set[str]:
    """All that a model depends on."""
    found: set[str] = set()
    pending = [name]
    while pending:
        for each in graph[pending.pop()]:
            if each in graph and each not in found:
                found.add(each)
                pending.append(each)
    return found


@given(graphs())
def test_each_comes_after_those_it_refers_to(graph: dict[str, set[str]]) -> None:
    order = in_order(graph)
    assert sorted(order) == sorted(graph)
    for place, name in enumerate(order):
        assert above(graph, name) <= set(order[:place])
    assert not cycles(graph)


@given(graphs(rings=True))
def test_rings_are_found_where_there_are_some(graph: dict[str, set[str]]) -> None:
    in_rings = {name for name in graph if name in above(graph, name)}
    rings = cycles(graph)
    assert bool(rings) == bool(in_rings)
    for ring in rings:
        assert set(ring) <= in_rings
        assert ring[0] == min(ring)
        assert all(after in graph[name] for name, after in zip(ring, [*ring[1:], ring[0]], strict=True))
    if rings:
        with pytest.raises(BadModel, match="ring"):
            in_order(graph)


@given(graphs(), st.data())
def test_those_chosen_wait_for_each_other_through_those_that_are_not(graph: dict[str, set[str]], data: Any) -> None:
    chosen = data.draw(st.sets(st.sampled_from(sorted(graph))))
    found = waits(graph, chosen)
    assert set(found) == chosen
    whole = {name: above(found, name) for name in found}
    assert whole == {name: above(graph, name) & chosen for name in chosen}


@given(graphs(), st.data())
def test_what_is_chosen(graph: dict[str, set[str]], data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(graph)))
    ups = above(graph, name)
    downs = {each for each in graph if name in above(graph, each)}
    for term, expected in {
        name: {name},
        f"+{name}": {name} | ups,
        f"{name}+": {name} | downs,
        f"+{name}+": {name} | ups | downs,
        f"1+{name}": {name} | {each for each in graph[name] if each in graph},
        f"{name}+1": {name} | {each for each in graph if name in graph[each]},
        f"0+{name}": {name},
        "*": set(graph),
        f"+{name},{name}+": {name},
    }.items():
        assert selected(graph, {}, term) == expected, term
    assert selected(graph, {}, None) == set(graph)
    assert reached(graph, name, None) == {name} | ups


def test_tags_and_several_terms() -> None:
    graph = {"a": set(), "b": {"a"}, "c": {"b"}, "stg_d": set[str]()}
    tags = {"a": {"daily"}, "c": {"daily", "slow"}}
    assert selected(graph, tags, "tag:daily") == {"a", "c"}
    assert selected(graph, tags, "tag:daily,tag:slow stg_*") == {"c", "stg_d"}
    assert selected(graph, tags, ["+tag:slow", "stg_d"]) == set(graph)


@pytest.mark.parametrize(
    ("term", "hint"),
    [
        ("bets", "did you mean best?"),
        ("tag:dialy", "did you mean daily?"),
        ("x*", "there are: best"),
        ("++best", "write"),
    ],
)
def test_a_term_that_chooses_nothing(term: str, hint: str) -> None:
    with pytest.raises(BadModel) as refused:
        selected({"best": ()}, {"best": ["daily"]}, term)
    assert hint in (refused.value.hint or "")
