"""A process that receives numbered requests, and says of each what became of it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.unit.webhook_senders import NOW, numbered

from penstock.control.webhooks import Hook, HookSecret, JournalDeliveries, Signature, receive
from penstock.journal import SqliteJournal

HOOK = Hook(
    slug="shop",
    signature=Signature("standard"),
    secrets=(HookSecret("s"),),
    mapping={"event": "order.paid", "resource": "{body.order}"},
)


def main() -> None:
    """Receive; `die-before` and `die-after` the request of this number is stored."""
    journal, first, count, die, when = SqliteJournal(Path(sys.argv[1])), *map(int, sys.argv[2:5]), sys.argv[5]
    deliveries = JournalDeliveries(journal)
    for number in range(first, first + count):
        request, secret = numbered(number, NOW)
        if (number, when) == (die, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        outcome = receive(HOOK, request, [secret], deliveries)
        if (number, when) == (die, "after"):
            os.kill(os.getpid(), signal.SIGKILL)
        print(number, outcome.status, flush=True)


if __name__ == "__main__":
    main()
