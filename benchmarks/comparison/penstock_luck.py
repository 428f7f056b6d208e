"""Penstock: `penstock worker start`, runs asked for by `run_deployment`."""

import subprocess
import sys

import luck
from luck import Tool
from penstock_duty import rows
from plant import Plant, command

from penstock import flow, task
from penstock.deployments import run_deployment

one, two, program = task(luck.one), task(luck.two), task(luck.program)


@flow(name="kill")
def kill() -> None:
    one()
    two()


@flow(name="quick")
def quick() -> None:
    one()


@flow(name="program")
def of_program() -> None:
    program()


def main() -> None:
    with Plant() as running:
        for body in (kill, quick, of_program):
            body.deploy()

        def cancel() -> None:
            run = rows("SELECT id FROM runs WHERE flow != 'idle'")[0][0]
            subprocess.run([command("penstock"), "runs", "cancel", run], check=True, stdout=subprocess.DEVNULL)

        luck.put(
            Tool(
                running,
                lambda: running.start(command("penstock"), "worker", "start", "--quiet"),
                lambda name, key: run_deployment(name, idempotency_key=key, timeout=0).id,
                lambda: [row[0] for row in rows("SELECT state FROM runs WHERE flow != 'idle'")],
                cancel,
            )
        )


if __name__ == "__main__":
    sys.exit(main())
