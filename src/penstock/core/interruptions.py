"""What unwinds a run from outside.

`Interruption` is no PenstockError and no Exception: it unwinds a run that was cancelled or taken over, or that waits
and needs no process meanwhile, through any `except Exception` in user code.
"""

from __future__ import annotations


class Interruption(BaseException):
    """Unwinds a run from outside; see `reason`."""

    hint: str | None = None

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason or (type(self).__doc__ or "").strip()
        super().__init__(self.reason)


class Terminated(SystemExit):
    """SIGTERM came while a run was executed here."""


class RunCancelled(Interruption):
    """The run was asked to stop."""


class Suspended(Interruption):
    """The run waits, and needs no process until it goes on."""


class RunFenced(Interruption):
    """Another process has taken this run over; this one stops."""


class SlotLost(RunFenced):
    """The lease of this run had expired, and a slot it held was given to somebody else; this process stops."""

    hint = "steps that completed are safe: `penstock runs resume ID` goes on from them"
