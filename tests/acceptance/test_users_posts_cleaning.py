"""The tasks of examples/users_posts on dirty data: what is mended, what is set aside, and that the counts add up."""

from __future__ import annotations

import csv
import importlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.acceptance.json_api import Reply, serving
from tests.acceptance.users_posts import EXAMPLE

from penstock import Penstock
from penstock.app import Settings
from penstock.journal.memory import MemoryJournal

MODULES = ["shapes", "cleaning", "sources", "transforms", "analytics", "exports", "dirty_data"]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The modules of the example, and an engine to call their tasks on."""
    before = {name: sys.modules.pop(name, None) for name in MODULES}
    sys.path.insert(0, str(EXAMPLE))
    settings = Settings(home=str(tmp_path_factory.mktemp("home")), log_console=False)
    try:
        modules = SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
        with closing(Penstock(settings, journal=MemoryJournal())) as engine, engine.activate():
            yield modules
    finally:
        sys.path.remove(str(EXAMPLE))
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


def user(**fields: Any) -> dict[str, Any]:
    return {"id": 1, "name": "Ada", "username": "ada", "email": "ada@example.org", **fields}


def post(**fields: Any) -> dict[str, Any]:
    return {"id": 1, "userId": 1, "title": "On engines", "body": "They weave.", **fields}


# --------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("  Ada\t Lovelace \n", "Ada Lovelace"),
        ("M&uuml;ller &amp; S&ouml;hne", "Müller & Söhne"),
        ("Jose\u0301", "José"),
        ("a\u00a0b\u2003c", "a b c"),
        ("\ufeffzero\u200bwidth\x00", "zerowidth"),
        ("&#0;&#xD800;", "\ufffd\ufffd"),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        ("👩\u200d💻 stays", "👩\u200d💻 stays"),
        (404, "404"),
        (True, ""),
        (None, ""),
        (["a"], ""),
        ({"a": 1}, ""),
    ],
)
def test_text_on_one_line(example: SimpleNamespace, dirty: Any, clean: str) -> None:
    assert example.cleaning.line(dirty) == clean


def test_a_body_keeps_its_lines(example: SimpleNamespace) -> None:
    assert example.cleaning.paragraphs("\n one  two \r\nthree\r\n\r\nfour&nbsp;\n\n") == "one two\nthree\n\nfour"


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        (" Ada@Example.ORG\n", "ada@example.org"),
        ("o'neil+x@mail.example.co.uk", "o'neil+x@mail.example.co.uk"),
        ("a&#64;example.org", "a@example.org"),
        ("n/a", ""),
        ("two@@example.org", ""),
        ("name@localhost", ""),
        ("a b@example.org", ""),
        ("@example.org", ""),
        ("a@example..org", ""),
        ("a" * 5000 + "@" + "b." * 5000, ""),
        (None, ""),
        (7, ""),
    ],
)
def test_email_addresses(example: SimpleNamespace, dirty: Any, clean: str) -> None:
    assert example.cleaning.email_address(dirty) == clean


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [(7, 7), ("7", 7), (" 7 ", 7), (7.0, 7), (0, 0), (10**30, 10**30), ("007", 7)]
    + [(dirty, None) for dirty in (-7, "-7", 7.5, "7.0", "²", "٣", "", None, True, [7], "9" * 5000, float("nan"))],
)
def test_whole_numbers(example: SimpleNamespace, dirty: Any, clean: int | None) -> None:
    found = example.cleaning.whole_number(dirty)
    assert found == clean
    assert type(found) is type(clean)


# ------------------------------------------------------------------------------------------------ transforms


def test_users_are_flattened_mended_and_put_in_order(example: SimpleNamespace) -> None:
    raw = [
        user(
            id="2",
            name=" Bo  Li ",
            phone=" 12 ",
            website="bo.example",
            address={"city": "Fez"},
            company={"name": "&lt;B"},
        ),
        user(name=None, email="ADA AT EXAMPLE", address="nowhere", company=None),
    ]
    batch = example.transforms.clean_users(raw)
    empty = {"phone": "", "website": "", "city": "", "company": ""}
    assert batch["rows"] == [
        {"id": 1, "name": "ada", "username": "ada", "email": "", **empty},
        {"id": 2, "name": "Bo Li", "username": "ada", "email": "ada@example.org"}
        | {"phone": "12", "website": "bo.example", "city": "Fez", "company": "<B"},
    ]


def test_users_that_cannot_be_used_are_counted_by_reason(example: SimpleNamespace) -> None:
    raw: list[Any] = [user(name="first"), user(id="1"), user(id=1.0), user(id=None), {}, None, [], "text", user(id=2)]
    batch = example.transforms.clean_users(raw)
    assert [(row["id"], row["name"]) for row in batch["rows"]] == [(1, "first"), (2, "Ada")]
    assert batch["received"] == 9
    assert batch["set_aside"] == {"not_a_record": 3, "without_id": 2, "duplicate": 2}


def test_a_post_needs_a_title_or_a_body(example: SimpleNamespace) -> None:
    raw = [post(title=" "), post(id=2, body=None), post(id=3, title="", body="&nbsp;\n"), post(id=2)]
    batch = example.transforms.clean_posts(raw)
    assert [(row["id"], row["title"], row["body"]) for row in batch["rows"]] == [
        (1, "", "They weave."),
        (2, "On engines", ""),
    ]
    assert batch["set_aside"] == {"not_a_record": 0, "without_id": 0, "duplicate": 1, "empty": 1}


def test_posts_get_their_author_and_measures_or_are_set_aside(example: SimpleNamespace) -> None:
    users = example.transforms.clean_users([user(), user(id=2, name="Bo")])
    raw = [post(userId="2", title="T&amp;T", body="one two\nthree"), post(id=2, userId=9), post(id=3, userId=None), 5]
    batch = example.transforms.enrich_posts(example.transforms.clean_posts(raw), users)
    assert batch["rows"] == [
        {"id": 1, "user_id": 2, "author_name": "Bo", "author_username": "ada", "author_email": "ada@example.org"}
        | {"title": "T&T", "body": "one two\nthree", "title_length": 3, "body_length": 13, "word_count": 3}
    ]
    assert batch["received"] == 4
    assert batch["set_aside"] == dict.fromkeys(["without_id", "duplicate", "empty"], 0) | {
        "not_a_record": 1,
        "unknown_author": 2,
    }


def test_nothing_usable_at_all_is_an_error(example: SimpleNamespace) -> None:
    with pytest.raises(example.transforms.UnusableData, match=r"None of the 2 users .*1 not a record, 1 without id"):
        example.transforms.clean_users([3, {}])
    assert example.transforms.clean_users([])["rows"] == []


keys = st.sampled_from(["id", "userId", "name", "username", "email", "title", "body", "address", "company", "city"])
scalars = st.none() | st.booleans() | st.integers(-3, 5) | st.floats() | st.text(max_size=8) | st.just("2")
records = st.dictionaries(keys, scalars | st.dictionaries(keys, scalars, max_size=2), max_size=6) | scalars


@given(raw_users=st.lists(records, max_size=12), raw_posts=st.lists(records, max_size=12))
def test_whatever_comes_in_the_counts_add_up(example: SimpleNamespace, raw_users: Any, raw_posts: Any) -> None:
    unusable = example.transforms.UnusableData
    try:
        users, posts = example.transforms.clean_users(raw_users), example.transforms.clean_posts(raw_posts)
    except unusable:
        return
    enriched = example.transforms.enrich_posts(posts, users)
    for raw, batch in ((raw_users, users), (raw_posts, posts), (raw_posts, enriched)):
        assert len(raw) == batch["received"] == len(batch["rows"]) + sum(batch["set_aside"].values())
        ids = [row["id"] for row in batch["rows"]]
        assert ids == sorted(set(ids))
    stats = example.analytics.user_activity(users, enriched)
    assert sum(each["posts"] for each in stats) == len(enriched["rows"])
    json.dumps([users, enriched, stats]).encode()


def test_the_generated_data_is_dirty_in_every_way_that_is_counted(example: SimpleNamespace) -> None:
    users = example.transforms.clean_users(example.dirty_data.dirty_users())
    posts = example.transforms.clean_posts(example.dirty_data.dirty_posts())
    enriched = example.transforms.enrich_posts(posts, users)
    stats = example.analytics.user_activity(users, enriched)
    figures = {row["metric"]: row["value"] for row in example.analytics.summarize(users, enriched, stats)}
    assert {metric for metric, value in figures.items() if not value} == set()
    assert example.dirty_data.dirty_posts() == example.dirty_data.dirty_posts()


# ------------------------------------------------------------------------------------------------- analytics


def test_activity_and_top_authors_with_ties_and_silence(example: SimpleNamespace) -> None:
    users = example.transforms.clean_users([user(id=number, name=f"u{number}") for number in (4, 3, 2, 1)])
    raw = [post(id=1, userId=3, body="a b"), post(id=2, userId=2, body="c d"), post(id=3, userId=4, body="e")]
    raw += [post(id=4, userId=4, body="f"), post(id=5, userId=4, body="gg hh")]
    posts = example.transforms.enrich_posts(example.transforms.clean_posts(raw), users)
    stats = example.analytics.user_activity(users, posts)
    silent, *_, busy = stats
    assert silent == {"user_id": 1, "name": "u1", "username": "ada", "posts": 0, "total_words": 0} | {
        "average_words": None,
        "total_characters": 0,
        "average_characters": None,
        "longest_post_id": None,
    }
    assert (busy["average_words"], busy["average_characters"], busy["longest_post_id"]) == (1.33, 2.33, 5)
    top = example.analytics.top_authors(stats, 10)
    assert [(row["rank"], row["user_id"]) for row in top] == [(1, 4), (2, 2), (3, 3)]
    assert example.analytics.top_authors(stats, 1) == top[:1]
    assert example.analytics.top_authors(stats, -1) == []


def test_of_posts_as_long_the_first_is_the_longest(example: SimpleNamespace) -> None:
    users = example.transforms.clean_users([user()])
    raw = [post(id=2, body="22"), post(id=1, body="11"), post(id=3, body="3")]
    posts = example.transforms.enrich_posts(example.transforms.clean_posts(raw), users)
    assert example.analytics.user_activity(users, posts)[0]["longest_post_id"] == 1


# --------------------------------------------------------------------------------------------------- exports


@pytest.mark.parametrize(
    ("cell", "written"),
    [("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"), ("-x", "'-x")]
    + [("\uff1d1", "'\uff1d1"), ("-1+1", "'-1+1")]
    + [(same, same) for same in ("+49 (30) 12-34.5", "-5", "-", "a=b", "'=1", "1@b.example", "", -5, 2.5, None)],
)
def test_what_a_spreadsheet_would_execute_is_defused(example: SimpleNamespace, cell: Any, written: Any) -> None:
    assert example.exports.safe(cell) == written


def test_a_file_holds_exactly_the_rows(example: SimpleNamespace, tmp_path: Path) -> None:
    names = ['say "hi", all', "line\nbreak", "tab\there", "Ünï €", "👩\u200d💻", ";", " padded ", "", "=1+1"]
    batch = example.transforms.clean_users([user()])
    rows = [{**batch["rows"][0], "id": number, "name": name} for number, name in enumerate(names)]
    path = example.exports.write_csv(str(tmp_path), "users.csv", rows)
    with open(path, encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["name"] for row in read] == [*names[:-1], "'=1+1"]
    assert [row["id"] for row in read] == [str(number) for number in range(len(names))]
    assert [found.name for found in tmp_path.iterdir()] == ["users.csv"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    example: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "users.csv").write_text("old")
    monkeypatch.setattr(example.exports.os, "fsync", full)
    with pytest.raises(example.exports.NotWritable, match=r"users\.csv cannot be written: No space left on device"):
        example.exports.write_csv(str(tmp_path), "users.csv", example.transforms.clean_users([user()])["rows"])
    assert {found.name: found.read_text() for found in tmp_path.iterdir()} == {"users.csv": "old"}


def test_the_readme_tells_every_column_and_every_metric(example: SimpleNamespace) -> None:
    pages = (EXAMPLE / "README.md").read_text(encoding="utf-8").split("\n**")
    for name, columns in example.exports.COLUMNS.items():
        (page,) = [page for page in pages if page.startswith(f"{name}**")]
        if name != "summary.csv":
            rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
            assert re.findall(r"`(\w+)`", " ".join(rows)) == columns
    empty = example.transforms.clean_users([])
    told = set(re.findall(r"^\| (.*?) \|", page, re.MULTILINE))
    for row in example.analytics.summarize(empty, example.transforms.enrich_posts(empty, empty), []):
        metric = row["metric"]
        shared = re.sub(r"^(users|posts)_set_aside_", "..._set_aside_", metric)
        assert any(f"`{word}`" in cell for cell in told for word in (metric, shared)), metric


# --------------------------------------------------------------------------------------------------- sources


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc",
        "ftp://host",
        "localhost:8000",
        "http://",
        "http://h:port",
        "http://a b",
        "",
        "//host",
        "http://[x",
    ],
)
def test_what_is_no_web_address_is_refused(example: SimpleNamespace, url: str) -> None:
    with pytest.raises(example.sources.ApiError, match="is no web address"):
        example.sources.fetch_users.with_options(retries=0)(url)


def test_a_server_that_says_nothing_is_given_up_on(example: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example.sources, "SOCKET_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    never = threading.Event()
    with serving({"/users": [Reply(wait_for=never, hang_up=True)]}) as api:
        try:
            with pytest.raises(example.sources.ApiUnavailable, match="timed out"):
                example.sources.fetch_users.with_options(retries=0)(api.url)
        finally:
            never.set()
