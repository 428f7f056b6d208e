"""Wrappers that say how an argument of a task is treated."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Wrapper(Generic[T]):
    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def unwrap(self) -> T:
        """The argument itself."""
        return self.value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"

    def __eq__(self, other: Any) -> bool:
        return type(other) is type(self) and bool(other.value == self.value)

    __hash__ = None  # type: ignore[assignment]


class unmapped(_Wrapper[T]):
    """Pass this argument whole to every call of `.map()`."""

    __slots__ = ()


class allow_failure(_Wrapper[T]):
    """Run the task even if this upstream failed; the task gets its exception as the value."""

    __slots__ = ()


class opaque(_Wrapper[T]):
    """Replace the argument if it is a future itself, but do not look for futures inside it."""

    __slots__ = ()


class quote(_Wrapper[T]):
    """Do not look inside this argument for futures (saves time on huge collections)."""

    __slots__ = ()

    def unquote(self) -> T:
        """The argument itself."""
        return self.value
