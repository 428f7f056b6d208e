"""Messages grouped by their shape: Drain, a tree of fixed depth (He, Zhu, Zheng and Lyu, ICWS 2017).

What has a digit in it is taken out before, up to the next bracket, comma, colon or equals sign. Each shape that is left
is looked up in the tree once; messages of the same shape are always of the same template. So it does not matter how a
log is cut into pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from penstock.processing.logs.extras import pl

ANY = "<*>"
MOST = 5_000
"""So many templates are kept; of more, those that are met seldom are forgotten."""

_VARIABLE = r"""[^\s=,;:()\[\]{}"'<>]*\d[^\s=,;:()\[\]{}"'<>]*"""
_LONGEST = 2_000
_MOST_WORDS = 100
_MOST_SHAPES = 100_000
_MOST_BRANCHES = 100
_LAYERS = 2
_ALIKE = 0.5


def shape_of(message: Any) -> Any:
    """Of a column of messages: what is left without what varies."""
    return message.str.slice(0, _LONGEST).str.replace_all(_VARIABLE, ANY)


@dataclass
class Template:
    """Messages that differ in some of their words only.

    Attributes:
        words: what all of them have; `<*>` where they differ.
        n: how many there are.
        failed: how many of them are errors or worse.
        first, last: when (seconds since 1970).
        example: the first one.
    """

    words: list[str]
    n: int
    failed: int
    first: float
    last: float
    example: str

    @property
    def text(self) -> str:
        """As it is shown."""
        return " ".join(self.words)

    def add(self, n: int, failed: int, first: float, last: float) -> None:
        """Take messages in."""
        self.n += n
        self.failed += failed
        self.first, self.last = min(self.first, first), max(self.last, last)

    def alike(self, words: list[str]) -> tuple[float, int]:
        """The share of its words that these have, too; and how many places are open."""
        fixed = [(mine, other) for mine, other in zip(self.words, words, strict=True) if mine != ANY]
        return sum(mine == other for mine, other in fixed) / len(fixed) if fixed else 1.0, len(words) - len(fixed)


class Templates:
    """Finds the templates of messages.

    Args:
        most: templates that are kept.

    Attributes:
        forgotten: one that is not there, or has lost some of its messages, has lost at most so many.
        seen: there are at least so many.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._all: list[Template] = []
        self._leaves: dict[tuple[Any, ...], list[Template]] = {}
        self._branches: dict[tuple[Any, ...], set[str]] = {}
        self._known: dict[str, Template] = {}
        self.forgotten = 0
        self.seen = 0

    def __iter__(self) -> Iterator[Template]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def exact(self) -> bool:
        """Nothing was forgotten."""
        return not self.forgotten

    def add(self, rows: Iterable[tuple[str, int, int, float, float, str]]) -> None:
        """Take messages in, in the order of the log.

        Args:
            rows: a shape, how many messages have it, how many of them failed, the times of the first and the last,
                and the first message itself.
        """
        for shape, n, failed, first, last, example in rows:
            known = self._known.get(shape)
            if known is not None:
                known.add(n, failed, first, last)
                continue
            words = _words_of(shape)
            found = self._like(words)
            if found is None:
                found = Template(words, n, failed, first, last, example)
                self._plant(found)
            else:
                found.words = [mine if mine == other else ANY for mine, other in zip(found.words, words, strict=True)]
                found.add(n, failed, first, last)
            if len(self._known) >= _MOST_SHAPES:
                self._known.clear()
            self._known[shape] = found
            if len(self._all) > self._most:
                self._forget()

    def template_of(self, shape: str) -> str | None:
        """The template of a shape that was taken in."""
        found = self._known.get(shape)
        return found.text if found is not None else None

    def _like(self, words: list[str]) -> Template | None:
        """The template that these words fit best; of two that they fit as well, the one with more open places."""
        best, most = None, (_ALIKE, -1)
        for each in self._leaves.get(self._way(words, grow=False), ()):
            alike = each.alike(words)
            if alike > most:
                best, most = each, alike
        return best

    def _plant(self, found: Template) -> None:
        self._all.append(found)
        self.seen = max(self.seen, len(self._all))
        self._leaves.setdefault(self._way(found.words, grow=True), []).append(found)

    def _way(self, words: list[str], *, grow: bool) -> tuple[Any, ...]:
        """The leaf: how many words there are, and the first of them; a word that varies, and one too many, is `<*>`."""
        way: tuple[Any, ...] = (len(words),)
        for word in words[:_LAYERS]:
            branches = self._branches.get(way, set())
            if ANY in word or (word not in branches and len(branches) >= _MOST_BRANCHES):
                word = ANY
            elif grow:
                self._branches.setdefault(way, set()).add(word)
            way = (*way, word)
        return way

    def _forget(self) -> None:
        """Half of them, those with the fewest messages."""
        order = sorted(self._all, key=lambda each: -each.n)
        kept, gone = order[: self._most // 2], order[self._most // 2 :]
        self.forgotten += max(each.n for each in gone)
        there = {id(each) for each in kept}
        remembered, seen = [each for each in self._all if id(each) in there], self.seen
        self._all, self._leaves, self._branches, self._known = [], {}, {}, {}
        for each in remembered:
            self._plant(each)
        self.seen = seen

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON has it; `of` reads it again."""
        places = {id(each): place for place, each in enumerate(self._all)}
        return {
            "all": [asdict(each) for each in self._all],
            "ways": [[list(way), [places[id(each)] for each in leaf]] for way, leaf in self._leaves.items()],
            "branches": [[list(way), sorted(words)] for way, words in self._branches.items()],
            "known": {shape: places[id(each)] for shape, each in self._known.items() if id(each) in places},
            "forgotten": self.forgotten,
            "seen": self.seen,
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Templates:
        """The reverse of `to_dict`."""
        made = cls()
        made._all = [Template(**each) for each in told["all"]]
        made._leaves = {tuple(way): [made._all[place] for place in leaf] for way, leaf in told["ways"]}
        made._branches = {tuple(way): set(words) for way, words in told["branches"]}
        made._known = {shape: made._all[place] for shape, place in told["known"].items()}
        made.forgotten, made.seen = told["forgotten"], told["seen"]
        return made


def _words_of(shape: str) -> list[str]:
    words = shape.split(None, _MOST_WORDS)
    return words[:_MOST_WORDS] + ([ANY] if len(words) > _MOST_WORDS else [])


def shapes_in(frame: Any) -> Any:
    """The shapes of the messages of a frame with `message`, `failed` and `time`, in the order they come in."""
    shaped = frame.select("message", "failed", "time", shape=shape_of(pl.col("message"))).drop_nulls("shape")
    return shaped.group_by("shape", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("n"),
        pl.col("failed").sum(),
        pl.col("time").min().alias("first"),
        pl.col("time").max().alias("last"),
        pl.col("message").first().str.slice(0, 200).alias("example"),
    )
