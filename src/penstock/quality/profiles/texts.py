"""What texts look like: their shapes, such as `AA-999`, and what they stand for, such as e-mail addresses."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from penstock.core.extras import require
from penstock.quality.profiles.hashing import text_bytes

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray
else:
    from penstock.quality.extras import np, pl

LONGEST_SHAPE = 40
LONG = "…"
"""The shape of a text that is longer."""
PATTERNS = {
    "integer": r"^[+-]?(0|[1-9][0-9]{0,17})$",
    "number": r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$",
    "boolean": r"(?i)^(true|false|yes|no|y|n|t|f)$",
    "date": r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
    "datetime": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?$",
    "date, day or month first": r"^[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{4}$",
    "e-mail": r"^[^@\s,;]+@[^@\s,;]+\.[^@\s.,;]{2,}$",
    "url": r"^(https?|ftp)://[^\s/]+\S*$",
    "uuid": r"^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    "ip": r"^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])$"
    r"|^[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}$",
}
"""Of the kinds of text, in the order in which they are looked for."""
MISSING = frozenset(
    {"n/a", "na", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", "unknown", "missing", "empty", "undefined"}
)
"""Words for what is not there."""
_ENOUGH = 0.5
_OF_SHAPES = ("e-mail",)
"""Kinds that a shape tells as well as the text: letters and digits are alike to them."""


class Kinds:
    """How many texts are of each kind. A kind that fewer than half of the texts are of is not looked for any longer."""

    def __init__(self) -> None:
        self.found = dict.fromkeys(PATTERNS, 0)
        self.looked_at = dict.fromkeys(PATTERNS, 0)
        self.texts = 0
        self._given_up: set[str] = set()

    def take(self, texts: pl.Series, counts: NDArray[Any], shapes: pl.Series, shape_counts: NDArray[Any]) -> None:
        """Take different texts with their counts, and their shapes; texts without a character are of no kind."""
        total = int(counts.sum())
        self.texts += total
        asked = [kind for kind in PATTERNS if kind not in self._given_up]
        if not asked:
            return
        found = _fitting([kind for kind in asked if kind not in _OF_SHAPES], texts, counts)
        of_shapes = [kind for kind in asked if kind in _OF_SHAPES]
        if of_shapes:
            found |= _fitting(of_shapes, shapes, shape_counts)
            long = texts.str.len_chars() > LONGEST_SHAPE
            if long.any():
                some = _fitting(of_shapes, texts.filter(long), counts[long.to_numpy()])
                found |= {kind: found[kind] + number for kind, number in some.items()}
        for kind, number in found.items():
            self.found[kind] += number
            self.looked_at[kind] += total
            self._judge(kind)

    def _judge(self, kind: str) -> None:
        if self.found[kind] < _ENOUGH * self.looked_at[kind]:
            self._given_up.add(kind)

    def merge(self, other: Kinds) -> Kinds:
        """Of the texts of both. A kind that one of them gave up, having looked at all of its texts, is judged anew."""
        made = Kinds()
        made.texts = self.texts + other.texts
        for kind in PATTERNS:
            made.found[kind] = self.found[kind] + other.found[kind]
            made.looked_at[kind] = self.looked_at[kind] + other.looked_at[kind]
            made._judge(kind)
            if made.looked_at[kind] < made.texts:
                made._given_up.add(kind)
        return made

    def share(self, kind: str) -> float:
        """Which fraction of the texts is of a kind; 0 where it was given up."""
        looked_at = self.looked_at[kind]
        return self.found[kind] / looked_at if looked_at and kind not in self._given_up else 0.0

    def most_likely(self, least: float = 0.9) -> str | None:
        """The first kind that so many texts are of."""
        shares = {kind: self.share(kind) for kind in PATTERNS}
        best = max(shares, key=lambda kind: shares[kind])
        return best if shares[best] >= least else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        kinds = {kind: [self.found[kind], looked_at] for kind, looked_at in self.looked_at.items() if looked_at}
        return {"texts": self.texts, "kinds": kinds}

    @classmethod
    def of_dict(cls, found: dict[str, Any]) -> Kinds:
        """What `as_dict` gave. A kind that is not among those of today is left out."""
        made = cls()
        made.texts = int(found["texts"])
        for kind, (fits, looked_at) in found["kinds"].items():
            if kind in PATTERNS:
                made.found[kind], made.looked_at[kind] = int(fits), int(looked_at)
                made._judge(kind)
        return made


def _fitting(kinds: list[str], texts: pl.Series, counts: NDArray[Any]) -> dict[str, int]:
    """How many texts are of each of these kinds."""
    if not kinds:
        return {}
    frame = pl.DataFrame({"text": texts, "count": counts})
    fits = (pl.col("text").str.contains(PATTERNS[kind]) for kind in kinds)
    sums = (pl.col("count").filter(each).sum().alias(kind) for kind, each in zip(kinds, fits, strict=True))
    return dict(frame.select(sums).row(0, named=True))


def shapes_of(texts: pl.Series) -> pl.Series:
    """`A` for a capital letter, `a` for another, `9` for a digit, anything else as it is."""
    if bool((texts.str.len_bytes() > LONGEST_SHAPE).any()):
        texts = texts.set(texts.str.len_chars() > LONGEST_SHAPE, LONG)
    data, edges = text_bytes(texts)
    if len(data) and int(data.max()) >= 128:
        made = texts.str.replace_all(r"\p{Lu}", "A").str.replace_all(r"[\p{L}--A]", "a")
        return made.str.replace_all(r"\p{Nd}", "9")
    return _texts(_table()[data], edges)


def _texts(data: NDArray[Any], edges: NDArray[Any]) -> pl.Series:
    arrow = require("pyarrow", "quality")
    buffers = [None, arrow.py_buffer(edges.astype(np.int64)), arrow.py_buffer(np.ascontiguousarray(data))]
    made = pl.from_arrow(arrow.Array.from_buffers(arrow.large_string(), len(edges) - 1, buffers))
    assert isinstance(made, pl.Series)
    return made


@functools.cache
def _table() -> NDArray[Any]:
    table = np.arange(256, dtype=np.uint8)
    for first, last in ("AZ", "az", "09"):
        table[ord(first) : ord(last) + 1] = ord(first)
    table[ord("0") : ord("9") + 1] = ord("9")
    return table


def runs_of(shape: str) -> str:
    """A shape with runs of letters and digits as one: `Aaaa 99` is `Aa 9`."""
    made = ""
    for sign in shape:
        if not (made.endswith(sign) and sign in "Aa9"):
            made += sign
    return made
