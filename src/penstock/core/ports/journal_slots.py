"""Slots of limits, and turns of rates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # these cost more than the rest of `import penstock`
    from penstock.core.model import Limit, Ticket


class Slots(ABC):
    """Slots of limits, and turns of rates. A part of `Journal`."""

    @abstractmethod
    def queue_up(self, limit: str, run_id: str, owner: str, step: str | None, occupy: int, now: int) -> int:
        """Draw a ticket for slots of a limit; it counts while the run's lease is the owner's."""

    @abstractmethod
    def admitted(self, ticket: int, now: int, slots: int | None = None) -> bool | None:
        """Whether a ticket holds its slots: those of live runs that were drawn before leave room for it.

        None where the ticket is gone (its run was thought dead). Tickets before it of runs that are no more are
        removed. `slots` is how many there are where the limit is not declared; without it, such a limit has no end.
        """

    @abstractmethod
    def hand_back(self, tickets: Sequence[int]) -> int:
        """Give slots back; returns how many of these tickets were still there."""

    @abstractmethod
    def tickets(self, limit: str | None = None, owner: str | None = None, most: int = 1000) -> list[Ticket]:
        """The first tickets of a limit, or of an owner, in the order in which they were drawn."""

    @abstractmethod
    def reset_limit(self, limit: str) -> int:
        """Forget a limit's reserved turns and all its tickets; returns how many there were."""

    @abstractmethod
    def reserve(
        self,
        limit: str,
        amount: float,
        per_second: float | None,
        burst: int | None,
        now: int,
        latest: int | None = None,
    ) -> int:
        """Take a turn of a rate limit, in one step; returns from when on it may be used (microseconds).

        Args:
            limit: its name.
            amount: how many turns.
            per_second: its rate where it has not been declared; declared ones keep theirs.
            burst: so many turns may be used at once.
            now: the time.
            latest: take none that comes after this time.

        Raises:
            LimitNotFound: it is not declared, and no rate is given.
        """

    @abstractmethod
    def limits(self, name: str | None = None, counted: bool = True) -> list[Limit]:
        """Every declared limit by name, or the one of this name; `counted`: with how many hold slots and wait."""
