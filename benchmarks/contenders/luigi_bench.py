"""Luigi: tasks with a target file each, which is the only record it keeps between processes."""

import os
import sys
from time import perf_counter, sleep

import luigi
from common import STEPS, effect, home, number, report, report_ticks, tick


class Recorded(luigi.Task):
    """A task that is complete when its target file exists."""

    step = luigi.IntParameter(default=1)

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(os.path.join(home(), f"{self.name}-{self.step}"))

    def requires(self) -> list[luigi.Task]:
        return [type(self)(step=self.step - 1)] if self.step > 1 else []

    def run(self) -> None:
        self.body()
        with self.output().open("w") as target:
            target.write("done")

    def body(self) -> None:
        pass


class Hello(Recorded):
    name = "hello"


class Noop(Recorded):
    name = "noop"

    def body(self) -> None:
        tick()


class Marked(Recorded):
    name = "marked"

    def body(self) -> None:
        effect(self.step)


class Nap(Recorded):
    name = "nap"
    seconds = luigi.FloatParameter()

    def requires(self) -> list[luigi.Task]:
        return []

    def body(self) -> None:
        sleep(self.seconds)


def build(tasks: list[luigi.Task], workers: int = 1) -> None:
    """Run tasks and what they need; with more than one worker each task is a process of its own."""
    if not luigi.build(tasks, local_scheduler=True, log_level="WARNING", workers=workers):
        sys.exit("luigi did not complete its tasks")


def main() -> None:
    topic = sys.argv[1]
    if topic == "hello":
        build([Hello()])
        report()
    elif topic == "sequential":
        build([Noop(step=number(2))])
        report_ticks()
    elif topic == "mapped":
        naps = [Nap(step=step, seconds=float(sys.argv[3])) for step in range(number(2))]
        started = perf_counter()
        build(naps, workers=number(4))
        report(executed=len(naps), seconds=perf_counter() - started)
    elif topic == "steps":
        build([Marked(step=STEPS)])
        report(how="the task is run again")


if __name__ == "__main__":
    main()
