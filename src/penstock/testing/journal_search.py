"""How a journal must find runs."""
# ruff: noqa: D102 - the name of a duty says what it is

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from penstock.core.events import Record, RunCompleted, RunFailed
from penstock.core.ids import child_run_id, derived_run_id, run_name_of
from penstock.core.model import Run, RunFilter
from penstock.core.ports import Journal
from penstock.testing.openings import Openings
from penstock.testing.samples import HOSTILE, created, started

_SECOND = 1_000_000
_BEGIN = 1_700_000_000 * _SECOND


def born(journal: Journal, at: int = _BEGIN, name: str = "amber-otter", parent: str | None = None, **more: Any) -> str:
    """Make a run whose id is of this time (microseconds); a subflow run with `parent`."""
    if parent is not None:
        run_id = child_run_id(parent, name, 1)
        more = {"parent_id": parent, "root_id": parent, **more}
    else:
        run_id = derived_run_id(at // 1000, name, str(at), repr(more))
    journal.append(run_id, 0, [created(name=name, **more), started()])
    return run_id


def fail(journal: Journal, run_id: str, message: str | None) -> None:
    """End a run badly."""
    journal.append(run_id, 2, [Record(RunFailed(at=9, message=message))])


class SearchDuties(Openings):
    """Every condition of a listing, alone and together."""

    def test_runs_by_tag(self) -> None:
        journal = self.opened()
        both, one, none = (born(journal, name=str(n), tags=tags) for n, tags in enumerate((("a", "b"), ("a",), ())))
        assert found(journal, tags=("a",)) == {both, one}
        assert found(journal, tags=("a", "b")) == {both}
        assert found(journal, tags=("A",)) == found(journal, tags=("",)) == found(journal, tags=("a b",)) == set()
        assert found(journal) == {both, one, none}

    def test_runs_by_parameter(self) -> None:
        journal = self.opened()
        values: dict[str, Any] = {
            "3": 3, "three": "3", "true": True, "null": None, "1.5": 1.5, "a = b": "a = b", "[1,2]": [1, 2], "": "",
            '{"a":1}': {"a": 1},
        }  # fmt: skip
        runs = {text: born(journal, name=text, shown={"x": value, "limit": 1}) for text, value in values.items()}
        assert found(journal, parameters={"x": "3"}) == {runs["3"], runs["three"]}
        for text in ("true", "null", "1.5", "a = b", "[1,2]", "", '{"a":1}'):
            assert found(journal, parameters={"x": text}) == {runs[text]}, text
        assert found(journal, parameters={"x": "3", "limit": "1"}) == {runs["3"], runs["three"]}
        assert found(journal, parameters={"x": "3", "limit": "2"}) == found(journal, parameters={"y": "3"}) == set()

    def test_long_values_are_told_apart(self) -> None:
        journal = self.opened()
        long = "x" * 300
        first, second = (born(journal, name=end, shown={"q": long + end}, tags=(long + end,)) for end in "ab")
        assert found(journal, parameters={"q": long + "a"}) == found(journal, tags=(long + "a",)) == {first}
        assert found(journal, parameters={"q": long + "b"}) == found(journal, tags=(long + "b",)) == {second}
        assert found(journal, parameters={"q": long}) == set()
        many = {f"name {number}": number for number in range(60)}
        wide = born(journal, name="wide", shown=many, tags=tuple(f"tag {number}" for number in range(60)))
        for number in (0, 59):
            assert found(journal, parameters={f"name {number}": str(number)}) == {wide}
            assert found(journal, tags=(f"tag {number}",)) == {wide}

    def test_runs_by_words(self) -> None:
        journal = self.opened()
        orders = born(journal, name="amber-otter", flow="load_orders")
        users = born(journal, name="Zoë-und-Bär", flow="users-posts", deployment="nightly load")
        fail(journal, users, "HTTPError: 503 from api.example.com, order 17283")
        assert found(journal, text="orders") == found(journal, text="load_orders") == {orders}
        assert found(journal, text="load") == {orders, users}
        assert found(journal, text="load amber") == found(journal, text="AMBER load") == {orders}
        assert found(journal, text="ord") == {orders, users}, "the last word may be the beginning of one"
        assert found(journal, text="ord load") == set(), "the words before it may not"
        assert found(journal, text="503 api.exam") == {users}
        assert found(journal, text="zoë bär") == found(journal, text="ZOE\u0308") == {users}
        assert found(journal, text="zoe") == found(journal, text="tter") == found(journal, text="amber 503") == set()
        assert found(journal, text="  ") == found(journal, text="") == {orders, users}
        assert found(journal, text="!?") == found(journal, text="%") == found(journal, text="_") == set()

    def test_a_name_that_was_made_up(self) -> None:
        journal = self.opened()
        runs = [derived_run_id(_BEGIN // 1000 + number, str(number)) for number in range(3)]
        for run_id in runs:
            journal.append(run_id, 0, [created(name=run_name_of(run_id), flow="load", tags=("a",), due_at=1)])
        names = [run_name_of(run_id) for run_id in runs]
        same = [born(journal, name=name, flow="other") for name in names]
        for name, made_up, given in zip(names, runs, same, strict=True):
            assert found(journal, text=name) == found(journal, text=f" {name.upper()} ") == {made_up, given}
            assert found(journal, text=name, flow="load") == found(journal, text=name, tags=("a",)) == {made_up}
            assert paged(journal, 1, text=name) == sorted((made_up, given), reverse=True)
            assert {run.id for run in journal.find(name)} == {made_up, given}
        assert found(journal, text="load") == set(runs)

    def test_a_beginning_of_very_many_words(self) -> None:
        journal = self.opened()
        runs = [born(journal, _BEGIN + n * 1000, name=f"order{n}", tags=("x",) * (n % 2)) for n in range(900)]
        other = born(journal, name="another")
        assert ids(journal, text="order", limit=5) == runs[:-6:-1]
        assert ids(journal, text="order8", limit=1000) == [runs[n] for n in range(899, 799, -1)] + [
            runs[n] for n in range(89, 79, -1)
        ] + [runs[8]]
        assert found(journal, text="order", tags=("x",)) == set(runs[1::2])
        assert paged(journal, 70, text="o") == runs[::-1]
        assert found(journal, text="an") == {other}

    def test_runs_by_deployment_and_partition(self) -> None:
        journal = self.opened()
        one = born(journal, name="1", deployment="nightly", partition="2026-01-01")
        two = born(journal, name="2", deployment="nightly", partition="2026-01-02")
        born(journal, name="3", deployment="night")
        assert found(journal, deployment="nightly") == {one, two}
        assert found(journal, deployment="nightly", partition="2026-01-02") == {two}
        assert found(journal, partition="2026-01-01") == {one}
        assert found(journal, partition="2026-01") == found(journal, deployment="none") == set()

    def test_runs_by_time(self) -> None:
        journal = self.opened()
        runs = [born(journal, _BEGIN + number * _SECOND, name=str(number)) for number in range(10)]
        born(journal, _BEGIN + 3 * _SECOND, "child", parent=runs[3])
        assert ids(journal, since=_BEGIN + 4 * _SECOND) == runs[:3:-1]
        assert ids(journal, until=_BEGIN + 4 * _SECOND) == runs[3::-1]
        assert ids(journal, since=_BEGIN + 2 * _SECOND, until=_BEGIN + 4 * _SECOND) == [runs[3], runs[2]]
        assert ids(journal, since=_BEGIN + 2 * _SECOND, before=runs[5]) == runs[4:1:-1]
        assert ids(journal, until=_BEGIN + 2 * _SECOND, before=runs[5]) == runs[1::-1]
        assert ids(journal, since=0, until=1 << 62) == runs[::-1]
        assert ids(journal, since=_BEGIN + 99 * _SECOND) == ids(journal, since=-5, until=-1) == []

    def test_subflow_runs(self) -> None:
        journal = self.opened()
        root = born(journal, tags=("a",), shown={"x": 1}, partition="p")
        child = born(journal, name="child-one", parent=root, tags=("a",), shown={"x": 1}, partition="p", flow="sub")
        deep = born(journal, name="child-two", parent=child, tags=("b",), flow="sub")
        fail(journal, deep, "it sank")
        for where in ({"tags": ("a",)}, {"parameters": {"x": "1"}}, {"partition": "p"}):
            assert found(journal, **where) == {root}
            assert found(journal, children=True, **where) == {root, child}
            assert found(journal, parent_id=root, **where) == {child}
        assert found(journal, text="child") == found(journal, text="sank") == found(journal, flow="sub") == set()
        assert found(journal, text="child", children=True) == found(journal, flow="sub", children=True) == {child, deep}
        assert found(journal, text="child", parent_id=child) == found(journal, text="sank", children=True) == {deep}
        assert (
            found(journal, text="sank", parent_id=child) == found(journal, states=("Failed",), children=True) == {deep}
        )
        assert found(journal, states=("Running",)) == {root}
        assert found(journal, children=True) == {root, child, deep}
        assert [run.id for run in journal.find(deep[-7:])] == [deep]

    def test_the_end_of_an_id(self) -> None:
        journal = self.opened()
        runs = [born(journal, _BEGIN + number, name=f"n{number}") for number in range(40)]
        for run_id in runs[::7]:
            for size in (6, 12, 13, 20, 35):
                assert [run.id for run in journal.find(run_id[-size:])] == [run_id]
        last = runs[0][-1]
        assert [run.id for run in journal.find(last, 100)] == sorted(
            (run_id for run_id in runs if run_id.endswith(last) or run_id.startswith(last)), reverse=True
        )
        journal.delete(runs[:1])
        assert journal.find(runs[0][-12:]) == []
        many = [born(journal, _BEGIN + number, name="nightly") for number in range(100, 120)]
        assert [run.id for run in journal.find("nightly", 3)] == sorted(many, reverse=True)[:3]

    def test_any_text_is_found_again(self) -> None:
        journal = self.opened()
        runs = {
            key: born(journal, name=key, tags=(text,), shown={text: text}, partition=text)
            for key, text in HOSTILE.items()
        }
        for key, text in HOSTILE.items():
            assert found(journal, tags=(text,)) == {runs[key]}, key
            assert found(journal, parameters={text: text}) == {runs[key]}, key
            assert found(journal, partition=text) == {runs[key]}, key
            found(journal, text=text)
        assert found(journal, text="seitung%' OR 1=1 --") == set()

    def test_all_conditions_together(self) -> None:
        """Whatever is asked, the answer is what looking at every run gives; page by page, too."""
        journal = self.opened()
        random_ = random.Random(11)
        everything = self._many(journal, random_)
        asked = 0
        for _ in range(250):
            where, fits = _question(random_, everything)
            expected = sorted((run.id for run in everything if fits(run)), reverse=True)
            assert ids(journal, **where) == expected, where
            assert paged(journal, random_.choice((1, 3, 10)), **where) == expected, where
            asked += bool(expected)
        assert asked > 60, "most questions have no answer, so they prove little"

    def _many(self, journal: Journal, random_: random.Random) -> list[Run]:
        for number in range(160):
            at = _BEGIN + random_.randint(0, 40) * _SECOND
            run_id = born(
                journal, at, f"{random_.choice(('amber', 'amberly', 'calm'))}-{number}",
                flow=random_.choice(("shop", "web")), tags=tuple(t for t in "abc" if random_.random() < 0.4),
                shown={"x": random_.randint(1, 3)}, deployment=random_.choice((None, "nightly", "hourly")),
            )  # fmt: skip
            if random_.random() < 0.3:
                fail(journal, run_id, random_.choice(("no such user", "usable no more", None)))
            elif random_.random() < 0.5:
                journal.append(run_id, 2, [Record(RunCompleted(at=8))])
            if random_.random() < 0.3:
                born(journal, at, f"below-{number}", parent=run_id, tags=("a",), shown={"x": 1}, flow="shop")
        return journal.runs(RunFilter(children=True, limit=10_000))


def _question(random_: random.Random, runs: list[Run]) -> tuple[dict[str, Any], Callable[[Run], bool]]:
    """Some conditions, and what they mean."""
    where: dict[str, Any] = {}
    tests: list[Callable[[Run], bool]] = []

    def ask(name: str, value: Any, test: Callable[[Run], bool], likely: float = 0.3) -> None:
        if random_.random() < likely:
            where[name] = value
            tests.append(test)

    tag, limit = random_.choice("abcd"), random_.randint(1, 4)
    flow, deployment = random_.choice(("shop", "web")), random_.choice(("nightly", "hourly"))
    states = tuple(random_.sample(("Running", "Failed", "Completed", "Paused"), random_.randint(1, 3)))
    whole, begins = random_.choice(("amber", "user", "no", "shop")), random_.choice(("am", "us", "calm", "n", "x"))
    since = _BEGIN + random_.randint(0, 30) * _SECOND
    parent = random_.choice(runs).id

    def words(run: Run) -> list[str]:
        text = f"{run.name} {run.flow} {run.deployment or ''} {run.message or ''}"
        return text.replace("-", " ").split()

    ask("tags", (tag,), lambda run: tag in run.tags)
    ask("parameters", {"x": str(limit)}, lambda run: run.parameters["x"] == limit)
    ask("flow", flow, lambda run: run.flow == flow)
    ask("deployment", deployment, lambda run: run.deployment == deployment)
    ask("states", states, lambda run: run.state in states)
    ask("since", since, lambda run: run.id[:13] >= derived_run_id(since // 1000)[:13])
    ask("until", since + 9 * _SECOND, lambda run: run.id[:13] < derived_run_id(since // 1000 + 9000)[:13])
    ask("before", parent, lambda run: run.id < parent, 0.1)
    ask(
        "text", f"{whole} {begins}",
        lambda run: whole in words(run) and any(word.startswith(begins) for word in words(run)),
    )  # fmt: skip
    if random_.random() < 0.2:
        ask("parent_id", parent, lambda run: run.parent_id == parent, 1.0)
    elif random_.random() < 0.5:
        where["children"] = True
    else:
        tests.append(lambda run: run.parent_id is None)
    return where, lambda run: all(test(run) for test in tests)


def ids(journal: Journal, **where: Any) -> list[str]:
    """The ids of a listing."""
    return [run.id for run in journal.runs(RunFilter(**{"limit": 10_000, **where}))]


def found(journal: Journal, **where: Any) -> set[str]:
    """The ids of a listing, without their order."""
    return set(ids(journal, **where))


def paged(journal: Journal, size: int, **where: Any) -> list[str]:
    """The ids of a listing that is read in pages."""
    pages: list[str] = []
    before = where.pop("before", None)
    while page := ids(journal, limit=size, before=pages[-1] if pages else before, **where):
        assert len(page) <= size
        pages += page
    return pages
