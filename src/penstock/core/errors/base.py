"""What every error of Penstock is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core.words import mistakes_told


class PenstockError(Exception):
    """Something went wrong in Penstock."""

    code = "penstock"
    hint: str | None = None

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().split("\n")[0]
        if hint is not None:
            self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\nHint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> Any:
        return (_rebuild, (type(self), self.message, self.hint, self.__dict__.copy()))


def _rebuild(cls: type[PenstockError], message: str, hint: str | None, state: dict[str, Any]) -> PenstockError:
    error = cls.__new__(cls)
    PenstockError.__init__(error, message, hint=hint)
    error.__dict__.update(state)
    return error


class Mistaken(PenstockError, ValueError):
    """Something cannot be.

    Attributes:
        mistakes: all of them, as (where, what is wrong).
    """

    def __init__(self, about: str, mistakes: Sequence[tuple[str, str]], *, hint: str | None = None) -> None:
        self.mistakes = list(mistakes)
        super().__init__(mistakes_told(about, self.mistakes), hint=hint)


class NotFound(PenstockError):
    """There is no such thing."""


class ConfigurationError(PenstockError):
    """A setting is wrong."""

    code = "configuration"


class MissingExtra(ConfigurationError):
    """An optional dependency is not installed."""

    code = "missing-extra"

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(
            f"{module} is not installed, and this needs it.",
            hint=f'install it with: pip install "penstock[{extra}]"',
        )
        self.module = module
        self.extra = extra


class MissingContextError(PenstockError, RuntimeError):
    """This works only inside a flow or a task."""

    code = "missing-context"


class RecordedError(PenstockError):
    """An exception was recorded that could not itself be stored."""

    code = "recorded-error"

    def __init__(self, type_name: str, text: str) -> None:
        super().__init__(f"{type_name}: {text}" if text else type_name)
        self.type_name = type_name


class LimitTimedOut(PenstockError, TimeoutError):
    """A slot or a turn did not come in time."""

    code = "limit-timed-out"


class WaitTimedOut(PenstockError, TimeoutError):
    """Nobody answered in time."""

    code = "wait-timed-out"


class TaskTimedOut(PenstockError, TimeoutError):
    """The task ran longer than its timeout_seconds."""

    code = "task-timed-out"


class FlowTimedOut(PenstockError, TimeoutError):
    """The flow ran longer than its timeout_seconds."""

    code = "flow-timed-out"
