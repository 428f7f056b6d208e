"""The lines of logs as tables, block by block: those that mean something, and those that do not, apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.core.errors import BadData
from penstock.processing.logs.counting import Counting, wrong_lines
from penstock.processing.logs.extras import Frame, pl
from penstock.processing.logs.opening import STDIN, Opened

if TYPE_CHECKING:
    from penstock.processing.logs.analyzer import LogAnalyzer

RAW = 64 << 10
"""So much of a malformed line is kept."""
_HEAD = 1024


@dataclass(frozen=True)
class Identity:
    """What tells a log from every other one, whatever it is called and whether it is packed: its first bytes.

    Attributes:
        head: stands for them.
        known: how many they are.
    """

    head: str
    known: int

    @classmethod
    def of(cls, path: str, known: int = _HEAD) -> Identity:
        """Of a file. One that is shorter is known by all that it has."""
        first = b""
        if path != STDIN:
            with closing(Opened(path)) as file:
                first = file.beginning(known)
        return cls(hashlib.blake2b(first, digest_size=16).hexdigest(), len(first))

    @property
    def whole(self) -> bool:
        """These are as many bytes as a log is known by at most."""
        return self.known >= _HEAD

    def fits(self, path: str) -> bool:
        """The file is this log, or what became of it when more was written."""
        return self.known > 0 and Identity.of(path, self.known) == self


@dataclass
class Wrong:
    """A line that means nothing.

    Attributes:
        line: its number in the file, from 1.
        text: it, up to 64 KB.
    """

    line: int
    reason: str
    text: str


@dataclass
class Lines:
    """What a block says.

    Attributes:
        frame: the lines that mean something; `line` is their number in the file, from 1.
        wrong: the others, but for blank ones.
        last: number of the last line.
        read: bytes of the file that have been read.
        trouble: why nothing comes after this.
    """

    frame: Frame
    wrong: list[Wrong] = field(default_factory=list)
    last: int = 0
    read: int = 0
    trouble: str = ""


def lines_of(analyzer: LogAnalyzer, path: str, counting: Counting) -> Iterator[Lines]:
    """All lines of a file in their order; they are counted, too."""
    before = 0
    for kind, block, (frame, part) in analyzer.each(path, analyzer.counted_and_framed):
        told = wrong_lines(block.cut, part, kind, before)
        wrong = [Wrong(line, reason, text.decode("utf-8", "backslashreplace")) for line, text, reason in told]
        counting.add(path, block.cut, part, kind)
        frame = frame.with_columns(pl.col("line") + (before + len(block.cut) + 1))
        before += len(block.cut) + part.lines
        yield Lines(frame, wrong, before, block.read, block.trouble)


def distinct(files: list[str]) -> dict[str, Identity]:
    """What tells files apart.

    Raises:
        BadData: two of them are the same log.
    """
    found: dict[Identity, str] = {}
    for file in files:
        identity = Identity.of(file)
        if identity in found and identity.known:
            raise BadData(f"{file} and {found[identity]} are the same log.", hint="name one of them")
        found[identity if identity.known else Identity(file, 0)] = file
    return {file: identity for identity, file in found.items()}
