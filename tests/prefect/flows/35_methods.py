"""Flows and tasks on classes."""

import asyncio

from facts import fact
from prefect import flow, task


class Mill:
    """A class whose methods are flows and tasks."""

    kind = "water"

    def __init__(self, power: int) -> None:
        """Remember the power."""
        self.power = power

    @task
    def grind(self, sacks: int) -> int:
        """A task on an instance."""
        return self.power * sacks

    @task
    async def grind_async(self, sacks: int) -> int:
        """A coroutine on an instance."""
        return self.power * sacks

    @flow
    def day(self, sacks: int = 2) -> dict:
        """A flow on an instance that uses the tasks."""
        return {
            "direct": self.grind(sacks),
            "submitted": self.grind.submit(3).result(),
            "mapped": self.grind.map([1, 2]).result(),
            "class": Mill.describe("x"),
            "static": Mill.weigh(4),
        }

    @flow
    async def night(self) -> int:
        """An asynchronous flow on an instance."""
        return await self.grind_async(5)

    @flow
    @classmethod
    def built(cls, year: int) -> list:
        """A flow on the class, decorators in one order."""
        return [cls.kind, year]

    @classmethod
    @flow
    def built_too(cls, year: int) -> list:
        """A flow on the class, decorators in the other order."""
        return [cls.kind, year]

    @flow
    @staticmethod
    def spare(name: str) -> str:
        """A static flow."""
        return name

    @staticmethod
    @flow
    def spare_too(name: str) -> str:
        """A static flow, the other order."""
        return name

    @task
    @classmethod
    def describe(cls, name: str) -> list:
        """A task on the class."""
        return [cls.kind, name]

    @staticmethod
    @task
    def weigh(sacks: int) -> int:
        """A static task."""
        return sacks * 50


if __name__ == "__main__":
    mill = Mill(10)
    fact("instance", mill.day("4"))
    fact("another instance", Mill(3).day(1)["direct"])
    fact("asynchronous", asyncio.run(mill.night()))
    fact("class", [Mill.built("1850"), Mill.built_too("1851")])
    fact("static", [Mill.spare("cog"), Mill.spare_too("wheel")])
    fact("state", mill.day(return_state=True).name)
    fact("task without a flow", mill.grind(2))
