"""Flows made up at random: every mixture of calls, submissions, maps, nesting, subflows, failures and retries."""

from __future__ import annotations

import random
from typing import Any

from tests.chaos.shapes import Glitch, effect

from penstock import flow, runtime, task
from penstock.task_runners import ThreadPoolTaskRunner

Program = list[list[Any]]
"""Operations, each with its argument; see `execute`."""

PLAIN = ["call", "shaky", "fails", "submit", "chain", "map", "join"]
DEEP = ["nest", "submit nest", "shaky nest", "flow", "submit flow"]


def made_up(seed: int) -> Program:
    """The same program for the same seed."""
    return _operations(random.Random(seed), depth=3)


def _operations(dice: random.Random, depth: int) -> Program:
    found: Program = []
    for _ in range(dice.randint(1, 4)):
        name = dice.choice(PLAIN + DEEP if depth else PLAIN)
        found.append([name, _operations(dice, depth - 1) if name in DEEP else dice.randint(1, 3)])
    return found


@task
def leaf(where: str, value: int, more: int) -> int:
    effect(where)
    return value * 3 + more


@task(retries=2)
def shaky(where: str, value: int, more: int) -> int:
    effect(where)
    if runtime.task_run.run_count <= more - 1:
        raise Glitch("not yet")
    return value + more


@task
def fails(where: str, value: int) -> int:
    effect(where)
    raise Glitch(f"{value} never works")


@task
def nest(where: str, program: Program, value: int) -> int:
    effect(where)
    return execute(where, program, value)


@task(retries=1)
def shaky_nest(where: str, program: Program, value: int) -> int:
    effect(where)
    value = execute(where, program, value)
    if runtime.task_run.run_count == 1:
        raise Glitch("its steps are done, and it fails")
    return value


@task
def nest_flow(where: str, program: Program, value: int) -> int:
    return below(where, program, value)


@flow
def below(where: str, program: Program, value: int) -> int:
    return execute(where, program, value)


@flow(flow_run_name="{name}", retries=1, task_runner=ThreadPoolTaskRunner(max_workers=3))
def random_flow(where: str, name: str, seed: int) -> int:
    value = execute(where, made_up(seed), seed)
    if seed % 3 == 0 and runtime.flow_run.run_count == 1:
        raise Glitch("once more, from the start")
    return leaf(where, value, 1)


def execute(where: str, program: Program, value: int) -> int:
    """Do what the program says, in the flow or the task around."""
    pending: list[Any] = []
    for name, argument in program:
        if name == "call":
            value = leaf(where, value, argument)
        elif name == "shaky":
            value = shaky(where, value, argument)
        elif name == "fails":
            value += fails(where, value, return_state=True).is_failed()
        elif name == "submit":
            pending.append(leaf.submit(where, value, argument))
        elif name == "chain":
            pending.append(shaky.submit(where, leaf.submit(where, value, argument), argument))
        elif name == "map":
            pending.extend(leaf.map(where, list(range(argument)), value))
        elif name == "join":
            value += sum(future.result() for future in pending)
            pending.clear()
        elif name == "flow":
            value += below(where, argument, value)
        else:
            called = {"nest": nest, "submit nest": nest, "shaky nest": shaky_nest, "submit flow": nest_flow}[name]
            if name.startswith("submit"):
                pending.append(called.submit(where, argument, value))
            else:
                value += called(where, argument, value)
        value %= 10_007
    return (value + sum(future.result() for future in pending)) % 10_007
