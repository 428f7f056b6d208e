"""How many can listen at once: each takes a connection, and a process has only so many."""

from __future__ import annotations

import resource

_WANTED = 20_000
_FOR_OTHERS = 512
_MOST = 10_000


def make_room() -> None:
    """Let this process have as many connections as the system allows it, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def room() -> int:
    """So many may listen."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(64, min(_MOST, soft - _FOR_OTHERS))
