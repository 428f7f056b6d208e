"""Where whole records end: the quick way gives what the rule gives."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.connectors.files.dialects import Dialect

TEXTS = st.lists(
    st.sampled_from([b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"a", b";", b'"a,b"', b'"a\nb"']), max_size=40
)


def by_the_rule(dialect: Dialect, text: bytes) -> int:
    found = dialect._records.match(text)
    return found.end() if found else 0


@given(TEXTS, st.sampled_from([",", ";"]))
@settings(max_examples=1500)
@example([b'"a\nb"', b"\n", b'"'], ",")
@example([b'"', b"\n", b"a"], ",")
@example([b'""', b'""', b"\n"], ",")
@example([b"a", b'"a,b"', b"\n"], ",")
def test_whole_records_end_where_the_rule_says(pieces: list[bytes], delimiter: str) -> None:
    text, dialect = b"".join(pieces), Dialect(delimiter)
    assert dialect.whole(text) == by_the_rule(dialect, text)


@given(st.lists(st.lists(st.text(st.sampled_from('ab",\n\r'), max_size=5), min_size=1, max_size=4), max_size=12))
@settings(max_examples=600)
def test_what_a_writer_of_csv_makes_is_read_the_quick_way(rows: list[list[str]]) -> None:
    quoted = [",".join('"' + field.replace('"', '""').replace("\r", "") + '"' for field in row) for row in rows]
    text = "".join(f"{row}\n" for row in quoted).encode()
    dialect = Dialect()
    for cut in range(len(text) + 1):
        part = text[:cut]
        if b'"' in part:
            assert dialect._after_plain_quotes(part) in (None, by_the_rule(dialect, part))
    if b'"' in text:
        assert dialect._after_plain_quotes(text) == len(text)


@pytest.mark.parametrize("quote", ["", "'"])
def test_other_quotes(quote: str) -> None:
    dialect = Dialect(quote=quote)
    text = b"'a\nb','c'\n1,\"2\"\n'd"
    assert dialect.whole(text) == by_the_rule(dialect, text)
