"""What stands for values that only a run has, while a flow is traced."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from penstock.authoring.futures import PenstockFuture
from penstock.core.annotations import allow_failure, opaque, quote, unmapped
from penstock.engine.arguments import parts_of

_WRAPPERS = (allow_failure, opaque, quote, unmapped)
_DEEP = 8


class Untraceable(BaseException):
    """What the flow does depends on what only a run knows. No Exception, so that the flow's code does not handle it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


Refuse = Callable[[str], NoReturn]
_MAPPING = "penstock.authoring.mapping"


class Symbol:
    """A parameter, a result, or something made of one. Whatever would need its value ends the trace.

    Args:
        what: it is: `the parameter 'limit'`.
        refuse: ends the trace, and says why.
    """

    __slots__ = ("_refuse", "_what")

    def __init__(self, what: str, refuse: Refuse) -> None:
        object.__setattr__(self, "_what", what)
        object.__setattr__(self, "_refuse", refuse)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Symbol(self._what, self._refuse)

    def __setattr__(self, name: str, value: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __delitem__(self, key: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What a method gives."""
        return Symbol(self._what, self._refuse)

    @property  # type: ignore[misc]  # whoever asks decides by it
    def __class__(self) -> Any:
        if sys._getframe(1).f_globals.get("__name__") == _MAPPING:
            self._refuse(f"maps over {self._what}, and only a run knows how many there are")
        self._refuse(f"asks what {self._what} is")


_BOTH_SIDES: tuple[str, ...] = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow")
_BOTH_SIDES += ("lshift", "rshift", "and", "or", "xor")
_ONE_SIDE = ("eq", "ne", "lt", "le", "gt", "ge", "getitem", "neg", "pos", "abs", "invert")
_NEEDED = {
    "__bool__": "decides by {}",
    "__iter__": "iterates over {}",
    "__reversed__": "iterates over {}",
    "__aiter__": "iterates over {}",
    "__len__": "asks how long {} is",
    "__contains__": "looks into {}",
    "__hash__": "uses {} as a key",
    "__index__": "turns {} into a number",
    "__int__": "turns {} into a number",
    "__float__": "turns {} into a number",
    "__complex__": "turns {} into a number",
    "__round__": "turns {} into a number",
    "__str__": "turns {} into text",
    "__repr__": "turns {} into text",
    "__format__": "turns {} into text",
    "__bytes__": "turns {} into bytes",
    "__fspath__": "uses {} as a path",
    "__enter__": "enters {}",
    "__aenter__": "enters {}",
    "__await__": "awaits {}",
    "__copy__": "copies {}",
    "__deepcopy__": "copies {}",
    "__reduce_ex__": "pickles {}",
}


def _made(self: Symbol, *_: Any) -> Symbol:
    return Symbol(self._what, self._refuse)


def _needed(told: str) -> Callable[..., NoReturn]:
    def refused(self: Symbol, *_: Any) -> NoReturn:
        refuse: Refuse = self._refuse
        refuse(told.format(self._what))

    return refused


for _name in (*_BOTH_SIDES, *_ONE_SIDE, *(f"r{name}" for name in _BOTH_SIDES)):
    setattr(Symbol, f"__{_name}__", _made)
for _name, _told in _NEEDED.items():
    setattr(Symbol, _name, _needed(_told))


class SymbolicFuture(PenstockFuture[Any]):
    """The future of a step that will be executed elsewhere.

    Args:
        key: of the step.
        asked: is told that the flow waits for the step: the key, and whether it goes on only if that completed.
        refuse: ends the trace, and says why.
    """

    __slots__ = ("_asked", "_over", "_refuse")

    def __init__(self, key: str, asked: Callable[[str, bool], None], refuse: Refuse) -> None:
        super().__init__(key, key)
        self._asked = asked
        self._over = False
        self._refuse = refuse

    @property
    def state(self) -> Any:
        """No flow that looks at it has one plan."""
        self._refuse(f"looks at the state of {self.key}")

    def done(self) -> bool:
        """True once the flow has waited for it; no flow that asks before has one plan."""
        if self._over:
            return True
        self._refuse(f"asks whether {self.key} has ended")

    def wait(self, timeout: float | None = None) -> None:
        """The flow goes on when the step has ended, however that was."""
        if timeout is not None:
            self._refuse(f"waits for {self.key} for a limited time")
        self._over = True
        self._asked(self.key, False)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> Any:
        """What stands for the result; the flow goes on when the step has completed."""
        if timeout is not None:
            self._refuse(f"waits for {self.key} for a limited time")
        self._over = True
        self._asked(self.key, raise_on_failure)
        return Symbol(f"the result of {self.key}", self._refuse)

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        """No flow that is called back has one plan."""
        self._refuse(f"does something when {self.key} ends")

    async def wait_async(self, timeout: float | None = None) -> None:
        """See `wait`."""
        self.wait(timeout)

    async def result_async(self, timeout: float | None = None, raise_on_failure: bool = True) -> Any:
        """See `result`."""
        return self.result(timeout, raise_on_failure)

    def __repr__(self) -> str:
        self._refuse(f"turns the future of {self.key} into text")


def futures_within(value: Any, depth: int = _DEEP, surely: bool = True) -> Iterator[tuple[PenstockFuture[Any], bool]]:
    """Every future inside of arguments, and whether whoever gets them needs it to complete."""
    kind = type(value)
    if issubclass(kind, PenstockFuture):
        yield value, surely
    elif kind in _WRAPPERS:
        yield from futures_within(value.value, depth, surely and kind is not allow_failure and kind is not quote)
    elif depth and kind is not Symbol:
        for part in parts_of(value, kind):
            yield from futures_within(part, depth - 1, surely)
