"""What a value holds, as a digest that is the same in every process and on every machine.

Everything in the value counts; nothing is left out to save time. A digest takes time in proportion to the value's
size: about a second for a gigabyte of arrays, text or bytes, and for half a million Python objects. Values of more than
MOST_OBJECTS objects are refused instead of looked at in part, for a key that leaves something out would give a task the
result of other arguments.

Sets and dictionaries count without their order. Frames count by their Arrow content, whatever their chunks and indexes
of memory are. Objects count by their class and by what pickle would keep of them; functions by their code.
"""

from __future__ import annotations

import copyreg
import hashlib
import math
import struct
import types
from collections.abc import Callable
from typing import Any

import msgspec

from penstock.core.errors import HashError
from penstock.core.extras import LateModule
from penstock.core.origins import origin_of

MOST_OBJECTS = 1_000_000
_DEEPEST = 150
_FLAT = frozenset({str, bool, type(None)})
_encode = msgspec.json.Encoder().encode
_float = struct.Struct(">d").pack
_WITH_FRAMES = frozenset({"numpy", "pandas", "polars", "pyarrow"})
_frames: Any = LateModule("penstock.core.frames")

Update = Callable[[bytes], None]


def digest_of(value: Any) -> str:
    """Forty hexadecimal digits that tell the content of this value.

    Raises:
        HashError: something in it has no content (a lock, a connection, a generator), or there is too much of it.
    """
    content = Contents()
    try:
        content.add(value)
    except RecursionError:
        raise HashError("It is nested too deeply.") from None
    return content.digest()


class Contents:
    """Takes in values, and gives the digest of all of them. Every part is preceded by its kind and its length."""

    def __init__(self, budget: list[int] | None = None) -> None:
        self._hash = hashlib.blake2b(digest_size=20)
        self.update: Update = self._hash.update
        self._budget = [MOST_OBJECTS] if budget is None else budget
        self._above: dict[int, int] = {}

    def digest(self) -> str:
        """The digest so far."""
        return self._hash.hexdigest()

    def note(self, kind: str, content: bytes = b"") -> None:
        """Add a part that is known as bytes."""
        self.update(f"{kind}:{len(content)};".encode())
        self.update(content)

    def add(self, value: Any) -> None:
        """Add a value.

        Raises:
            HashError: it has no content.
        """
        self._budget[0] -= 1
        if self._budget[0] < 0:
            raise HashError(f"It holds more than {MOST_OBJECTS:,} objects.", hint="pass arrays or frames instead")
        kind = type(value)
        simple = _SIMPLE.get(kind)
        if simple is not None:
            self.note(*simple(value))
            return
        above = self._above
        if id(value) in above:
            self.note("above", str(len(above) - above[id(value)]).encode())
            return
        if len(above) > _DEEPEST:
            raise HashError("It is nested too deeply.")
        above[id(value)] = len(above)
        try:
            self._add(value, kind)
        finally:
            del above[id(value)]

    def _add(self, value: Any, kind: type) -> None:
        if kind is list or kind is tuple:
            self.items(kind.__name__, value)
        elif kind is dict:
            self.pairs("dict", value)
        elif kind is set or kind is frozenset:
            self.unordered("set", [self.apart(item) for item in value])
        elif isinstance(value, type):
            self.note("class", origin_of(value).encode())
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.ModuleType):
            self.note("module", value.__name__.encode())
        elif kind.__module__.partition(".")[0] in _WITH_FRAMES and _frames.add(self, value, kind):
            return
        elif hasattr(kind, "__pydantic_fields__"):
            self.note("object", origin_of(kind).encode())
            self.add([dict(vars(value)), getattr(value, "__pydantic_extra__", None)])
        else:
            self._reduced(value, kind)

    def items(self, kind: str, values: Any) -> None:
        """Add a sequence."""
        if values and set(map(type, values)) <= _FLAT:
            try:
                self.note(f"flat {kind}", _encode(values))
            except ValueError:  # half a surrogate pair
                pass
            else:
                self._budget[0] -= len(values) // 50
                return
        self.note(kind, str(len(values)).encode())
        for value in values:
            self.add(value)

    def pairs(self, kind: str, mapping: dict[Any, Any]) -> None:
        """Add a mapping, whose order does not count."""
        if all(type(key) is str for key in mapping):
            self.note(f"{kind} of names", str(len(mapping)).encode())
            for key in sorted(mapping):
                self.note(*_SIMPLE[str](key))
                self.add(mapping[key])
            return
        self.unordered(kind, [self.apart((key, value)) for key, value in mapping.items()])

    def apart(self, value: Any) -> bytes:
        """The digest of one part alone."""
        part = Contents(self._budget)
        part._above = self._above
        part.add(value)
        return part._hash.digest()

    def unordered(self, kind: str, digests: list[bytes]) -> None:
        """Add parts whose order does not count."""
        self.note(kind, b"".join(sorted(digests)))

    def _function(self, function: types.FunctionType) -> None:
        """Its name, its code, its defaults, and what it has closed over; not what it finds in its module."""
        self.note("function", origin_of(function).encode())
        self._code(function.__code__)
        self.add(function.__defaults__)
        self.add(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:
                self.note("empty cell")

    def _code(self, code: types.CodeType) -> None:
        self.note("code", code.co_code)
        self.items("names", (*code.co_names, *code.co_varnames, *code.co_freevars))
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant)
            else:
                self.add(constant)

    def _reduced(self, value: Any, kind: type) -> None:
        """By what pickle would keep of it: what makes it, from what, and its state."""
        reducer = copyreg.dispatch_table.get(kind)
        try:
            made = reducer(value) if reducer is not None else value.__reduce_ex__(4)
        except Exception as error:
            raise HashError(f"A {kind.__module__}.{kind.__qualname__} has no content ({error}).") from None
        if isinstance(made, str):
            self.note("global", f"{kind.__module__}.{made}".encode())
            return
        maker, arguments, state, *iterators = (*made, None, None, None, None)[:5]
        self.note("object", origin_of(kind).encode())
        self.add(maker)
        self.items("made of", tuple(arguments))
        self.add(state)
        items, pairs = iterators[0], iterators[1]
        self.items("holding", [] if items is None else list(items))
        self.pairs("with", {} if pairs is None else dict(pairs))


def _whole(value: int) -> tuple[str, bytes]:
    return "int", b"%x" % value if value >= 0 else b"-%x" % -value


def _real(value: float) -> tuple[str, bytes]:
    return "float", b"nan" if math.isnan(value) else _float(value)


_SIMPLE: dict[type, Callable[[Any], tuple[str, bytes]]] = {
    type(None): lambda value: ("None", b""),
    bool: lambda value: ("bool", b"1" if value else b"0"),
    int: _whole,
    float: _real,
    complex: lambda value: ("complex", _real(value.real)[1] + b"," + _real(value.imag)[1]),
    str: lambda value: ("str", value.encode("utf-8", "surrogatepass")),
    bytes: lambda value: ("bytes", value),
    bytearray: lambda value: ("bytearray", bytes(value)),
    memoryview: lambda value: ("memoryview", value.tobytes()),
    type(Ellipsis): lambda value: ("...", b""),
    type(NotImplemented): lambda value: ("NotImplemented", b""),
}
