"""One worker with its scheduler, as `penstock worker start` runs them."""

from __future__ import annotations

import faulthandler
import signal
import sys

from penstock.app import Penstock, load_settings
from penstock.orchestrator.services import scheduling, stopping
from penstock.orchestrator.worker import PoolWorker, WorkerOptions


def main() -> None:
    faulthandler.register(signal.SIGUSR1)
    app = Penstock(load_settings())
    options = WorkerOptions(
        pool="orchestra", slots=4, drain_seconds=5.0, lease_seconds=app.settings.lease_seconds,
        fresh=sys.argv[1:] == ["fresh"], runs_per_process=20 if sys.argv[1:] == ["again"] else 1,
    )  # fmt: skip
    worker = PoolWorker(app.journal, options)
    with scheduling(app), stopping(worker):
        worker.run()
    app.close()


if __name__ == "__main__":
    main()
