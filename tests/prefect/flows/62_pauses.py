"""Pauses: runs that wait to be resumed, for an answer, or in vain."""

import asyncio
import threading
import time
from typing import Literal

from facts import fact, outcome, raised
from prefect import flow, pause_flow_run, resume_flow_run, task
from prefect.exceptions import FlowPauseTimeout, NotPausedError
from prefect.flow_runs import aresume_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run


class Shipment(RunInput):
    """What is asked for."""

    crates: int
    remarks: str = "none"


def later(run_id, given=None):
    """Resume a run as soon as it is paused."""
    options = {} if given is None else {"run_input": given}
    while True:
        try:
            resume_flow_run(run_id, **options)
        except NotPausedError:
            time.sleep(0.05)
        else:
            return


def answered(given=None):
    """Have this run resumed, from another thread."""
    thread = threading.Thread(target=later, args=(flow_run.id, given))
    thread.start()
    return thread


@flow
def only_paused():
    """Goes on when it is resumed."""
    thread = answered()
    fact("only paused", pause_flow_run(timeout=60, poll_interval=1))
    thread.join()
    return "went on"


@flow
def in_vain():
    """Nobody resumes it."""
    pause_flow_run(timeout=1, poll_interval=1)


@flow
def a_number():
    """A type without fields."""
    thread = answered({"value": 3})
    fact("a number", pause_flow_run(wait_for_input=int, timeout=60, poll_interval=1))
    thread.join()


@flow
def a_word():
    """One of several."""
    thread = answered({"value": "no"})
    fact("a word", pause_flow_run(wait_for_input=Literal["yes", "no"], timeout=60, poll_interval=1))
    thread.join()


@flow
def fields():
    """Of a class."""
    thread = answered({"crates": 3})
    given = pause_flow_run(wait_for_input=Shipment, timeout=60, poll_interval=1)
    fact("fields", isinstance(given, Shipment), crates=given.crates, remarks=given.remarks)
    thread.join()


@flow
def prefilled():
    """With other defaults."""
    thread = answered({"remarks": "heavy"})
    asked = Shipment.with_initial_data(description="How many?", crates=12)
    given = pause_flow_run(wait_for_input=asked, timeout=60, poll_interval=1)
    fact("prefilled", isinstance(given, Shipment), crates=given.crates, remarks=given.remarks)
    thread.join()


@flow
def twice():
    """One key, one pause."""
    thread = answered()
    pause_flow_run(timeout=60, poll_interval=1, key="once")
    thread.join()
    pause_flow_run(timeout=60, poll_interval=1, key="once")
    fact("one key", "paused once")


@flow
def refused():
    """What does not fit."""

    def try_all():
        while True:
            wrong = outcome(resume_flow_run, flow_run.id, run_input={"crates": "many"})
            if wrong != {"raised": "NotPausedError"}:
                break
            time.sleep(0.05)
        fact("wrong type", isinstance(wrong, dict))
        fact("a number as text", raised(resume_flow_run, flow_run.id, run_input={"crates": "12"}) is not None)
        fact("missing", raised(resume_flow_run, flow_run.id, run_input={"remarks": "x"}) is not None)
        later(run_id, {"crates": 1})

    run_id = flow_run.id
    thread = threading.Thread(target=try_all)
    thread.start()
    fact("refused", pause_flow_run(wait_for_input=Shipment, timeout=60, poll_interval=1).crates)
    thread.join()


@task
def paused_in_a_task():
    """A task may pause its flow."""
    pause_flow_run(timeout=1, poll_interval=1)


@flow
def in_a_task():
    """And waits itself."""
    try:
        paused_in_a_task()
    except FlowPauseTimeout:
        fact("in a task", "in vain")


@flow
async def in_async_code():
    """The same."""

    async def soon():
        while True:
            try:
                await aresume_flow_run(flow_run.id, run_input={"value": "now"})
            except NotPausedError:
                await asyncio.sleep(0.05)
            else:
                return

    other = asyncio.create_task(soon())
    fact("async", await pause_flow_run(wait_for_input=str, timeout=60, poll_interval=1))
    await other


@flow
def not_paused():
    """Cannot be resumed."""
    fact("not paused", raised(resume_flow_run, flow_run.id))


if __name__ == "__main__":
    fact("a pause", only_paused())
    try:
        in_vain()
    except FlowPauseTimeout:
        fact("in vain", "too late")
    a_number()
    a_word()
    fields()
    prefilled()
    twice()
    refused()
    in_a_task()
    asyncio.run(in_async_code())
    not_paused()
    try:
        pause_flow_run()
    except RuntimeError:
        fact("outside a run", "not possible")
