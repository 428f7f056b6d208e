"""DBOS: a process that executes the workflows of a queue, which another one fills."""

import sys
import time

import luck
from dbos import DBOS, DBOSClient
from dbos_duty import CONFIG, QUEUE, URL, rows
from luck import Tool
from plant import Plant

one, two, program = (DBOS.step()(body) for body in (luck.one, luck.two, luck.program))


@DBOS.workflow(name="kill")
def kill() -> None:
    one()
    two()


@DBOS.workflow(name="quick")
def quick() -> None:
    one()


@DBOS.workflow(name="program")
def of_program() -> None:
    program()


def work() -> None:
    DBOS(config=CONFIG)
    DBOS.launch()
    while True:
        time.sleep(3600)


def main() -> None:
    if sys.argv[1] == "work":
        work()
        return
    with Plant() as running:
        client = DBOSClient(system_database_url=URL)

        def ask(name: str, key: str) -> str:
            options = {"workflow_name": name, "queue_name": QUEUE, "app_version": "1", "workflow_id": key}
            return str(client.enqueue(options).workflow_id)  # type: ignore[arg-type]

        luck.put(
            Tool(
                running,
                lambda: running.start(sys.executable, __file__, "work"),
                ask,
                lambda: [row[0] for row in rows("SELECT status FROM workflow_status")],
                lambda: client.cancel_workflow("a"),
            )
        )


if __name__ == "__main__":
    main()
