"""One statement or several, and whether it writes, told from a text that may hold anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.cli.sql_text import checked, first_word, writes
from penstock.core.errors import ConfigurationError

PIECES = [
    "'a;b'",
    "'it''s;'",
    '"x;y"',
    "-- no; more\n",
    "/* ; */",
    "$$ ; $$",
    "$q$ ; $q$",
    "1",
    "+",
    "(",
    ")",
    "\n",
    " $1 ",
]


@given(st.lists(st.sampled_from(PIECES)))
def test_semicolons_in_texts_names_and_comments_end_nothing(pieces: list[str]) -> None:
    sql = "SELECT " + " ".join(pieces)
    assert checked(sql) == sql
    assert checked(f"{sql}\n; -- done").rstrip() == sql.rstrip()
    assert not writes(sql)
    with pytest.raises(ConfigurationError, match="several"):
        checked(f"{sql}\n; DROP TABLE x")


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT 1", "SELECT"),
        ("  -- one\n/* two */ (( select 1))", "select"),
        ("", ""),
        ("-- nothing", ""),
        (";;", ""),
        ("/* not closed", ""),
    ],
)
def test_the_first_word(sql: str, word: str) -> None:
    assert first_word(sql) == word


@pytest.mark.parametrize(
    "sql", ["insert into x values (1)", "/* select */ Drop table x", "-- select\nCALL f()", "set a = 1"]
)
def test_what_writes(sql: str) -> None:
    assert writes(sql)


@pytest.mark.parametrize("sql", ["", " ", "--", "/* x */", ";"])
def test_nothing_is_no_query(sql: str) -> None:
    with pytest.raises(ConfigurationError, match="empty"):
        checked(sql)
