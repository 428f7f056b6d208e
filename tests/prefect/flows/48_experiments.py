"""A grid of experiments: dataclasses as arguments, maps in a loop, the best of them."""

from dataclasses import dataclass

from facts import fact
from prefect import flow, task, unmapped
from prefect.futures import PrefectFuture, as_completed, wait
from prefect.runtime import task_run


@dataclass
class Field:
    """Where it grows."""

    name: str
    rain: int


@dataclass
class Seed:
    """What grows."""

    name: str
    thirst: int


@task(task_run_name="{seed.name} on {field.name}")
def grow(field: Field, seed: Seed, days: list[int]) -> dict:
    """One experiment."""
    return {"run": task_run.name, "yield": sum(days) * 10 - abs(field.rain - seed.thirst)}


@flow
def season(fields: list[Field], seeds: list[Seed]) -> dict:
    """All of them, and the best."""
    futures: list[PrefectFuture] = []
    for field in fields:
        futures.extend(grow.map(unmapped(field), seeds, days=unmapped([1, 2])))
    results = [future.result() for future in wait(futures).done]
    again = [future.result() for future in as_completed(futures)]
    ranked = sorted(results, key=lambda result: (-result["yield"], result["run"]))
    return {"ranked": ranked, "same": len(again) == len(results)}


if __name__ == "__main__":
    found = season(
        fields=[Field("hill", 3), Field("marsh", 9)], seeds=[{"name": "oats", "thirst": "4"}, Seed("rice", 9)]
    )
    for name, value in found.items():
        fact(name, value)
