"""Threads that are the first to read into a type, all at once."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from penstock.core import typed

SOURCES = Path(typed.__file__).parents[1]
CROWD = """
import sys, threading
from msgspec import defstruct
from penstock.core import typed

sys.setswitchinterval(1e-6)
for number in range(300):
    inner = defstruct("Inner", [("a", int), ("b", list[str])])
    outer = defstruct("Outer", [("x", inner), ("y", dict[str, inner])])
    other = defstruct("Other", [("x", inner)])
    start = threading.Barrier(4)
    data, text = {"x": {"a": 1, "b": ["c"]}, "y": {}}, b'{"x":{"a":1,"b":["c"]},"y":{}}'
    found = []

    def work(read):
        start.wait()
        found.append(read().x.a)

    def described():
        typed.json_schema(outer, lambda kind: {}, "{name}")
        return typed.convert(data, other)

    reads = [
        lambda: typed.convert(data, outer), lambda: typed.from_json(text, other),
        lambda: typed.json_decoder(outer).decode(text), described,
    ]
    threads = [threading.Thread(target=work, args=(read,)) for read in reads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 4
print("all of them")
"""


AGAIN = """
import sys, threading
from typing import Generic, TypeVar
from msgspec import Struct, defstruct
from penstock.core import typed

T = TypeVar("T")

class Page(Struct, Generic[T]):
    items: list[T]

sys.setswitchinterval(1e-6)
row = defstruct("Row", [("a", int)])
first = Page[row]
others = [defstruct(f"Other{number}", []) for number in range(140)]
typed.convert({"items": []}, first)
for _ in range(100):
    for other in others:  # so many that `typing` forgets the first
        Page[other]
    equal = Page[row]
    assert equal == first and equal is not first
    start = threading.Barrier(4)

    def work():
        start.wait()
        assert typed.convert({"items": [{"a": 1}]}, equal).items[0].a == 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("all of them")
"""


class Pair(msgspec.Struct):
    a: int
    b: str = ""


@pytest.mark.parametrize("script", [CROWD, AGAIN], ids=["new types", "an equal type"])
def test_threads_that_are_the_first_do_not_end_the_process(script: str) -> None:
    """With msgspec alone this ends with a segmentation fault, nearly every time."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "all of them\n"), done.stderr


def test_what_is_read() -> None:
    assert typed.convert({"a": 1}, Pair) == typed.from_json(b'{"a":1}', Pair) == Pair(1)
    assert typed.from_msgpack(msgspec.msgpack.encode({"a": 1}), Pair) == Pair(1)
    assert typed.convert({"a": "1"}, Pair, strict=False) == Pair(1)
    assert typed.json_decoder(Pair | None).decode(b"null") is None
    for wrong in ({"a": "1"}, {}, []):
        with pytest.raises(msgspec.ValidationError):
            typed.convert(wrong, Pair)
    assert typed.convert({(1, 2): 3}, dict[tuple[int, int], int]) == {(1, 2): 3}


def test_a_type_without_a_hash() -> None:
    kind: Any = Annotated[int, ["no", "hash"]]
    assert typed.convert(1, kind) == typed.convert(1, kind) == 1

    class Unhashable(type):
        __hash__ = None  # type: ignore[assignment]

    class Odd(int, metaclass=Unhashable):
        pass

    with pytest.raises(msgspec.ValidationError):
        typed.convert("1", Odd)
    assert typed.convert(Odd(1), Odd) == 1


def test_a_child_that_is_forked_meanwhile_can_read() -> None:
    stop = threading.Event()

    def learn() -> None:
        while not stop.is_set():
            typed.convert({"a": 1}, msgspec.defstruct("Fresh", [("a", int)]))

    learner = threading.Thread(target=learn)
    learner.start()
    try:
        for _ in range(50):
            if (pid := os.fork()) == 0:
                os._exit(typed.convert({"a": 7}, msgspec.defstruct("Child", [("a", int)])).a)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    finally:
        stop.set()
        learner.join()


def reads(tree: ast.AST) -> Iterator[str]:
    """Where msgspec works out how a type is read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "msgspec":
            yield from (f"import {name.name}" for name in node.names if name.name in ("convert", "json", "msgpack"))
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if re.fullmatch(r"msgspec\.convert|(msgspec\.)?inspect\.type_info|msgspec\.json\.schema\w*", name):
                yield name
        elif isinstance(node, ast.Call) and re.match(r"msgspec\.\w+\.(Decoder|decode)$", ast.unparse(node.func)):
            given = node.args if ast.unparse(node.func).endswith("Decoder") else []
            if given or any(each.arg == "type" for each in node.keywords):
                yield ast.unparse(node)


def test_nobody_reads_into_types_elsewhere() -> None:
    texts = {path: path.read_text() for path in SOURCES.rglob("*.py") if path != Path(typed.__file__)}
    found = {
        str(path.relative_to(SOURCES)): told
        for path, text in texts.items()
        if "msgspec" in text and (told := list(reads(ast.parse(text))))
    }
    assert found == {}, "penstock.core.typed does it under its lock"
    for told in ("msgspec.convert", "msgspec.json.Decoder(\nint)", "msgspec.json.decode(b'1', type=int)"):
        assert list(reads(ast.parse(told)))
