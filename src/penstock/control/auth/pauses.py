"""A growing pause after failures to sign in, for the account and for the address, over all servers and restarts.

An attempt is counted before the password is looked at, so that many at once are counted as well. A name without an
account is counted like any other. Names and addresses are put into a fixed number of places, by a hash that nobody
outside can compute: so nobody fills the database with names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from penstock.core import typed
from penstock.core.clock import now_us
from penstock.core.errors import SignInPaused
from penstock.core.networks import customer_of
from penstock.core.ports import Journal

_SECOND = 1_000_000
_FORGOTTEN_US = 3_600 * _SECOND
_ATTEMPTS = 50


class Rule(msgspec.Struct, frozen=True):
    """How pauses grow.

    Attributes:
        free: so many attempts are not followed by a pause.
        longest: seconds.
    """

    free: int
    longest: int

    def pause(self, failures: int) -> int:
        """The pause after so many failures, in seconds."""
        over = failures - self.free
        return 0 if over <= 0 else min(2 ** min(over, 20), self.longest)


ACCOUNTS = Rule(4, 900)
ADDRESSES = Rule(29, 300)
"""The fifth failure of an account, and the thirtieth of an address, are followed by the first pause."""


class _Count(msgspec.Struct, frozen=True):
    failures: int = 0
    until: int = 0
    at: int = 0


_decode = typed.json_decoder(_Count).decode
_encode = msgspec.json.Encoder().encode


class Pauses:
    """Counts failures.

    Args:
        journal: where they are counted.
        secret: gives what the places are computed with.
    """

    def __init__(self, journal: Journal, secret: Callable[[], str]) -> None:
        self._journal = journal
        self._secret = secret

    def attempt(self, name: str, address: str | None) -> None:
        """Count an attempt.

        Raises:
            SignInPaused: it must not be made now. It was not counted.
        """
        places = self._places(name, address)
        for place, _ in places:  # before any is counted: a paused address counts against no account
            _refuse(self._found(place)[1])
        for place, rule in places:
            self._count(place, rule)

    def succeeded(self, name: str, address: str | None) -> None:
        """The last attempt was none that should be counted."""
        (own, _), *others = self._places(name, address)
        self._journal.drop_bookmark(own)
        for place, _ in others:
            self._change(place, lambda found: _Count(max(found.failures - 1, 0), at=found.at))

    def _places(self, name: str, address: str | None) -> list[tuple[str, Rule]]:
        places = [(self._place("account", name.strip().lower()), ACCOUNTS)]
        return places if address is None else [*places, (self._place("address", customer_of(address)), ADDRESSES)]

    def _place(self, kind: str, text: str) -> str:
        key = hashlib.sha256(self._secret().encode()).digest()
        found = hashlib.blake2b(text.encode("utf-8", "surrogatepass")[:1000], digest_size=2, key=key).hexdigest()
        return f"sign-in/{kind}/{found}"

    def _count(self, place: str, rule: Rule) -> None:
        def counted(found: _Count) -> _Count:
            now = now_us()
            _refuse(found)
            failures = found.failures + 1
            return _Count(failures, now + rule.pause(failures) * _SECOND, now)

        self._change(place, counted)

    def _change(self, place: str, change: Callable[[_Count], _Count]) -> None:
        for _ in range(_ATTEMPTS):
            seq, found = self._found(place)
            if self._journal.keep_bookmark(place, seq, _encode(change(found))):
                return
        raise SignInPaused(1)

    def _found(self, place: str) -> tuple[int, _Count]:
        """The version of a place, and what was counted there."""
        kept = self._journal.bookmark(place)
        found = _decode(kept.data) if kept is not None else _Count()
        return kept.seq if kept else 0, found if now_us() - found.at < _FORGOTTEN_US else _Count()


def _refuse(found: _Count) -> None:
    now = now_us()
    if found.until > now:
        raise SignInPaused(-(-(found.until - now) // _SECOND))
