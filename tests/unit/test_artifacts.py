"""Artifacts: what is kept of them, for whom, and what is refused."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import json
import math
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pandas
import polars
import pyarrow
import pytest
from tests.unit.engines import die_in, engine_on, events, newest

from penstock import Penstock, flow, task
from penstock.artifacts import (
    Artifact,
    ArtifactId,
    ImageArtifact,
    LinkArtifact,
    MarkdownArtifact,
    ProgressArtifact,
    TableArtifact,
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
    versions,
)
from penstock.core import model
from penstock.core.errors import ArtifactNotFound, BadArtifact, MissingContextError
from penstock.core.events import ArtifactSaved, TaskCompleted
from penstock.engine.artifacts import making
from penstock.engine.artifacts.shelf import Shelf
from penstock.engine.recovery import delete
from penstock.task_runners import ProcessPoolTaskRunner


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Penstock]:
    app = engine_on(tmp_path)
    with app.activate():
        yield app
    app.close()


def in_a_flow(make: Callable[[], Any]) -> Any:
    """Call this in a flow."""
    return flow(make, name="maker")()


def kept(app: Penstock) -> list[model.Artifact]:
    """Every artifact in the journal, the oldest first."""
    return app.journal.artifacts()[::-1]


def content(app: Penstock, make: Callable[[], Any]) -> Any:
    """What is kept of the one artifact that is made there."""
    in_a_flow(make)
    (found,) = kept(app)
    return json.loads(found.data)


# ------------------------------------------------------------------------------------------------ what is kept


@pytest.mark.parametrize(
    ("make", "kind", "data"),
    [
        (lambda: create_markdown_artifact("# Dry"), "markdown", "# Dry"),
        (lambda: create_markdown_artifact(""), "markdown", ""),
        (lambda: create_link_artifact("https://example.com"), "link", "[https://example.com](https://example.com)"),
        (lambda: create_link_artifact("/report", "the report"), "link", "[the report](/report)"),
        (lambda: create_image_artifact("https://example.com/a.png"), "image", "https://example.com/a.png"),
        (lambda: create_image_artifact("data:image/png;base64,AAAA"), "image", "data:image/png;base64,AAAA"),
        (lambda: create_progress_artifact(12.5), "progress", 12.5),
        (lambda: create_progress_artifact(math.inf), "progress", 100),
        (lambda: create_progress_artifact(-1), "progress", 0),
        (lambda: create_table_artifact([]), "table", []),
        (lambda: create_table_artifact([[1, "a"], [None, "b"]]), "table", [[1, "a"], [None, "b"]]),
        (lambda: create_table_artifact({"a": [1, 2]}), "table", {"a": [1, 2]}),
        (lambda: Artifact(type="sketch", data={"lines": 3}).create(), "sketch", {"lines": 3}),
        (lambda: Artifact(data="a text").create(), "data", "a text"),
        (lambda: MarkdownArtifact("text").create(), "markdown", "text"),
        (lambda: TableArtifact([[1]]).create(), "table", [[1]]),
        (lambda: LinkArtifact("/a", "b").create(), "link", "[b](/a)"),
        (lambda: ImageArtifact("/a.png").create(), "image", "/a.png"),
        (lambda: ProgressArtifact(1).create(), "progress", 1),
    ],
)
def test_what_is_kept(app: Penstock, make: Callable[[], Any], kind: str, data: Any) -> None:
    assert content(app, make) == data
    assert [each.kind for each in kept(app)] == [kind]


@pytest.mark.parametrize(
    "frame",
    [
        polars.DataFrame({"day": [1, 2], "rain": [0.5, None]}),
        pandas.DataFrame({"day": [1, 2], "rain": [0.5, None]}),
        pyarrow.table({"day": [1, 2], "rain": [0.5, None]}),
        pyarrow.record_batch({"day": [1, 2], "rain": [0.5, None]}),
    ],
    ids=["polars", "pandas", "arrow-table", "arrow-batch"],
)
def test_frames_are_tables(app: Penstock, frame: Any) -> None:
    found = content(app, lambda: create_table_artifact(frame))
    assert found == [{"day": 1, "rain": 0.5}, {"day": 2, "rain": None}]


def test_values_without_json_are_shown_as_text(app: Penstock) -> None:
    row = {
        "none": math.nan, "much": math.inf, "day": datetime.date(2026, 1, 31), "price": decimal.Decimal("1.10"),
        "missing": pandas.NA, "whole": polars.Series([3]).to_numpy()[0], "half": "a\ud800b", "type": complex(1, 2),
    }  # fmt: skip
    assert content(app, lambda: create_table_artifact([row])) == [
        {
            "none": None, "much": None, "day": "2026-01-31", "price": "1.10", "missing": None, "whole": 3,
            "half": "a\\ud800b", "type": "(1+2j)",
        }
    ]  # fmt: skip


def test_who_made_it(app: Penstock) -> None:
    @task
    def inner() -> None:
        create_markdown_artifact("of the inner", key="inner", description="what it is")

    @task
    def outer() -> None:
        create_markdown_artifact("of the outer", key="outer")
        inner()

    @flow
    def below() -> None:
        create_markdown_artifact("of the subflow", key="below")

    @flow
    def above() -> None:
        create_markdown_artifact("of the flow", key="above")
        outer()
        below()

    above()
    run = newest(app)
    (child,) = app.journal.runs(model.RunFilter(parent_id=run.id))
    assert {each.key: (each.run_id, each.step, each.description) for each in kept(app)} == {
        "above": (run.id, None, None),
        "outer": (run.id, "outer#1", None),
        "inner": (run.id, "outer#1/inner#1", "what it is"),
        "below": (child.id, None, None),
    }


def test_an_artifact_is_on_record_with_the_step_that_made_it(app: Penstock) -> None:
    """In one commit: whoever finds the step's end finds its artifacts."""

    @task
    def report() -> None:
        create_markdown_artifact("dry", key="report")

    in_a_flow(lambda: report())
    told = [type(event) for event in events(app, newest(app).id)]
    assert told.index(ArtifactSaved) < told.index(TaskCompleted)


def test_versions_of_a_key(app: Penstock) -> None:
    def make() -> list[Any]:
        made = [create_markdown_artifact(f"version {number}", key="report") for number in range(3)]
        create_markdown_artifact("another", key="other")
        create_markdown_artifact("nameless")
        assert [each.data for each in versions("report")] == ["version 2", "version 1", "version 0"]
        assert [each.id for each in versions("report")] == made[::-1]
        assert [each.data for each in versions("report", limit=1)] == ["version 2"]
        assert len(versions()) == 5
        found = Artifact.get("report")
        assert (found.id, found.data) == (made[2], "version 2")
        assert Artifact.get("nowhere") is None
        return made

    made = in_a_flow(make)
    assert [each.id for each in versions("report")] == made[::-1], "outside a run too"
    assert [type(each) for each in pickle.loads(pickle.dumps(made))] == [UUID] * 3, "what is recorded is plain"


def test_get_or_create(app: Penstock) -> None:
    def make() -> None:
        first, new = MarkdownArtifact.get_or_create(key="report", markdown="one")
        again, later = MarkdownArtifact.get_or_create(key="report", markdown="two")
        assert (new, later) == (True, False)
        assert (again.id, again.data) == (first.id, "one")

    in_a_flow(make)


def test_an_id_may_be_awaited(app: Penstock) -> None:
    async def make() -> Any:
        made = await create_markdown_artifact("text", key="report")
        found = await Artifact.get("report")
        other = await MarkdownArtifact("other").create()
        return made == found.id and other.id is not None

    assert asyncio.run(flow(make)())


def test_a_task_in_a_process(app: Penstock) -> None:
    @task
    def far(share: float) -> None:
        create_markdown_artifact("far", key="far")
        made = create_progress_artifact(0, key="share")
        update_progress_artifact(made, share)
        with pytest.raises(MissingContextError, match="read them in the flow"):
            versions()

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def near() -> None:
        far.submit(40).result()

    near()
    assert {each.key: (each.step, each.data) for each in app.journal.artifacts(latest=True)} == {
        "far": ("far#1", b'"far"'),
        "share": ("far#1", b"40.0"),
    }


# ------------------------------------------------------------------------------------------------ progress


def test_progress_is_recorded_seldom_and_at_its_end(app: Penstock) -> None:
    @task
    def fills() -> None:
        made = create_progress_artifact(0, key="lake")
        for share in range(10_000):
            update_progress_artifact(made, share / 100)
        update_progress_artifact(made, 100, "full")

    in_a_flow(lambda: fills())
    told = [event for event in events(app, newest(app).id) if isinstance(event, ArtifactSaved)]
    assert len({event.id for event in told}) == 1
    assert len(told) < 100
    (found,) = kept(app)
    assert (found.data, found.description, found.step) == (b"100.0", "full", "fills#1")


def test_progress_is_on_record_when_it_is_looked_at(app: Penstock) -> None:
    def make() -> None:
        made = create_progress_artifact(0, key="lake")
        update_progress_artifact(made, 30)
        assert Artifact.get("lake").data == 30
        update_progress_artifact(made, 31)
        assert [each.data for each in versions(run_id=newest(app).id)] == [31]

    in_a_flow(make)


def test_progress_of_a_task_is_moved_by_another(app: Penstock) -> None:
    @task
    def begins() -> UUID:
        return create_progress_artifact(0, key="lake", description="the lake")

    @task
    def fills(made: UUID) -> None:
        update_progress_artifact(made, 70)

    @flow
    def lake() -> None:
        fills(begins())

    lake()
    assert [(each.data, each.description, each.step) for each in kept(app)] == [(b"70.0", "the lake", "begins#1")]


def test_progress_of_a_flow_is_moved_by_its_subflow(app: Penstock) -> None:
    @flow
    def below(made: UUID) -> None:
        update_progress_artifact(made, 70)

    @flow
    def above() -> None:
        below(create_progress_artifact(0))

    above()
    (found,) = kept(app)
    assert (found.run_id, found.data) == (newest(app).id, b"70.0")


@pytest.mark.parametrize("wrong", [uuid4(), ArtifactId(int=5), "lake", None])
def test_progress_that_is_not_there(app: Penstock, wrong: Any) -> None:
    in_a_flow(lambda: create_progress_artifact(0, key="lake"))
    other = kept(app)[0].id
    for unknown in (wrong, other):
        with pytest.raises(ArtifactNotFound, match="no progress artifact"):
            in_a_flow(lambda unknown=unknown: update_progress_artifact(unknown, 3))
    with pytest.raises(ArtifactNotFound, match="no progress artifact"):
        in_a_flow(lambda: update_progress_artifact(create_markdown_artifact("no progress"), 3))


def test_a_shelf_keeps_what_could_not_be_recorded() -> None:
    shelf = Shelf()
    one, two = (ArtifactSaved(at=1, id=name, kind="markdown") for name in ("1", "2"))
    shelf.put(one, b"1")
    taken = shelf.take([])
    shelf.put(two, b"2")
    shelf.put_back(taken)
    assert [record.event for record in shelf.take([])] == [one, two]
    assert not shelf.waits()


# ------------------------------------------------------------------------------------------------ resumed, deleted


def test_a_resumed_run_makes_none_twice(app: Penstock) -> None:
    calls: list[int] = []

    @task
    def report(number: int) -> UUID:
        calls.append(number)
        return create_markdown_artifact(f"report {number}", key="report")

    @flow(name="reports")
    def reports() -> list[str]:
        create_markdown_artifact("begins", key="flow")
        made = [report(1), report(2)]
        create_markdown_artifact("ends", key="flow")
        return [str(each) for each in made]

    run = die_in(app, reports, before_append=4)
    before = {each.id: each.data for each in kept(app)}
    assert before, "the process died too early for this test"
    made = app.resume(run.id, reports)
    after = {each.id: each.data for each in kept(app)}
    assert before.items() <= after.items()
    assert sorted(after.values()) == [b'"begins"', b'"ends"', b'"report 1"', b'"report 2"']
    assert set(made) <= set(after)


def test_a_retried_task_leaves_what_each_attempt_made(app: Penstock) -> None:
    @task(retries=1)
    def shaky() -> None:
        create_markdown_artifact("tries", key="try")
        if len(versions("try")) == 1:
            raise OSError("not yet")

    in_a_flow(lambda: shaky())
    assert [each.step for each in kept(app)] == ["shaky#1", "shaky#1"]


def test_artifacts_go_with_their_run(app: Penstock) -> None:
    @flow
    def below() -> None:
        create_markdown_artifact("below")

    @flow
    def above() -> None:
        create_markdown_artifact("above")
        below()

    above()
    assert len(kept(app)) == 2
    assert delete(app.journal, newest(app).id) == 2
    assert kept(app) == []


def test_what_a_failed_step_made_stays(app: Penstock) -> None:
    @task
    def fails() -> None:
        create_table_artifact([{"row": 17, "why": "no date"}], key="bad-rows")
        raise ValueError("17 bad rows")

    with pytest.raises(ValueError, match="17"):
        in_a_flow(lambda: fails())
    assert [each.key for each in kept(app)] == ["bad-rows"]


# ------------------------------------------------------------------------------------------------ what is refused


class Broken:
    """Nothing can be said of it."""

    def __repr__(self) -> str:
        raise RuntimeError("broken")


_endless: list[Any] = []
_endless.append(_endless)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: create_markdown_artifact("x" * making.MOST_BYTES), "limited to 1,000,000 bytes, and this has"),
        (lambda: create_table_artifact([{"a": "x" * 1_000}] * 1_000), "limited to 1,000,000 bytes"),
        (lambda: create_table_artifact(polars.DataFrame({"a": range(300_000)})), "300,000 rows and 1 columns"),
        (lambda: create_table_artifact(polars.LazyFrame({"a": [1]})), "lazy frame has no rows"),
        (lambda: create_table_artifact(3), "int is no table"),
        (lambda: create_table_artifact([1, 2]), "list is no table"),
        (lambda: create_table_artifact([{"a": 1}, [1]]), "list is no table"),
        (lambda: create_table_artifact("a,b"), "str is no table"),
        (lambda: create_table_artifact([{"a": Broken()}]), "cannot be written as JSON: broken"),
        (lambda: create_table_artifact([_endless]), "cannot be written as JSON"),
        (lambda: create_markdown_artifact(None), "markdown must be a text, and is NoneType"),  # type: ignore[arg-type]
        (lambda: create_markdown_artifact(b"x"), "markdown must be a text, and is bytes"),  # type: ignore[arg-type]
        (lambda: create_progress_artifact(math.nan), "progress must be a number from 0 to 100, and is nan"),
        (lambda: create_progress_artifact("5"), "progress must be a number"),  # type: ignore[arg-type]
        (lambda: create_progress_artifact(True), "progress must be a number"),
        (lambda: create_markdown_artifact("x", key="Report"), "'Report' cannot be the key"),
        (lambda: create_markdown_artifact("x", key="../report"), "cannot be the key"),
        (lambda: create_markdown_artifact("x", key="a\n"), "cannot be the key"),
        (lambda: create_markdown_artifact("x", key="é"), "cannot be the key"),
        (lambda: create_markdown_artifact("x", key="x" * 256), "'x{60}' cannot be the key"),
        (lambda: create_markdown_artifact("x", key=3), "'3' cannot be the key"),  # type: ignore[arg-type]
        (lambda: create_markdown_artifact("x", description="x" * 10_001), "text of 10,000 characters"),
        (lambda: create_link_artifact(""), "link is empty"),
        (lambda: create_link_artifact(None), "link must be a text"),  # type: ignore[arg-type]
        (lambda: create_link_artifact("/a", link_text=b"x"), "link_text must be a text"),  # type: ignore[arg-type]
        (lambda: create_image_artifact("data:text/html,x"), "begins with data:image/"),
        (lambda: Artifact(type="Big Thing", data=1).create(), "cannot be a type"),
        (lambda: Artifact(type="progress", data="half").create(), "progress must be a number"),
        (lambda: Artifact(type="table", data="half").create(), "str is no table"),
        (lambda: Artifact(type="image", data="javascript:x").create(), "runs code"),
        (lambda: Artifact(type="markdown", data=3).create(), "must be a text"),
    ],
)
def test_what_is_refused(app: Penstock, make: Callable[[], Any], says: str) -> None:
    with pytest.raises(BadArtifact, match=says):
        in_a_flow(make)
    assert kept(app) == []


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " \tjava\nscript\r:alert(1)",
        "\x01javascript:alert(1)",
        "java\u200bscript:alert(1)",
        "javascript&#58;alert(1)",
        "javascript&colon;alert(1)",
        "&#x6A;avascript:alert(1)",
        "vbscript:msgbox(1)",
    ],
)
def test_addresses_that_run_code(app: Penstock, address: str) -> None:
    for make in (create_link_artifact, create_image_artifact):
        with pytest.raises(BadArtifact, match="runs code"):
            in_a_flow(lambda make=make: make(address))
    assert kept(app) == []


def test_a_link_cannot_show_a_page_of_its_own(app: Penstock) -> None:
    with pytest.raises(BadArtifact, match="data: runs code"):
        in_a_flow(lambda: create_link_artifact("data:text/html,<script>alert(1)</script>"))


@pytest.mark.parametrize(
    ("link", "told", "written"),
    [
        ("https://x/a b", None, "[https://x/a b](https://x/a%20b)"),
        ("https://x/)[y](javascript:alert(1)", None, r"[https://x/)\[y\](javascript:alert(1)]"
         "(https://x/%29[y]%28javascript:alert%281%29)"),
        ("https://x", "a](b)\n\n# c", r"[a\](b) # c](https://x)"),
        ("https://x", "<script>", r"[\<script\>](https://x)"),
        ("https://x?a=1&b=2", "q", "[q](https://x?a=1&b=2)"),
        ("https://x?a=1&copy=2", "q", "[q](https://x?a=1&amp;copy=2)"),
        ("notes:2026", "a note", "[a note](notes:2026)"),
    ],
)  # fmt: skip
def test_nothing_gets_out_of_a_link(app: Penstock, link: str, told: str | None, written: str) -> None:
    assert content(app, lambda: create_link_artifact(link, told)) == written


def test_outside_a_run(app: Penstock) -> None:
    with pytest.raises(MissingContextError, match="belongs to a run"):
        create_markdown_artifact("nobody's")


def test_after_the_end_of_the_run(app: Penstock) -> None:
    told: list[MissingContextError] = []

    def hook(*_: Any) -> None:
        try:
            create_markdown_artifact("too late")
        except MissingContextError as error:
            told.append(error)

    flow(on_completion=[hook])(lambda: None)()
    assert "has ended" in str(told[0])
    assert kept(app) == []
