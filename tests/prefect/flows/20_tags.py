"""Tags: on tasks, from the surrounding context, and both."""

from facts import fact
from prefect import flow, tags, task
from prefect.runtime import flow_run, task_run


@task(tags=["api", "slow"])
def tagged() -> list[str]:
    """The tags of this task run."""
    return sorted(task_run.tags)


@task
def untagged() -> list[str]:
    """The same for a task without tags."""
    return sorted(task_run.tags)


@flow
def child() -> list[str]:
    """The tags of a subflow's run."""
    return sorted(flow_run.tags)


@flow
def journey() -> None:
    """Contexts in contexts."""
    fact("without a context of its own", tasks=[tagged(), untagged()], flow=sorted(flow_run.tags))
    with tags("a", "b") as current:
        fact("what the context gives", sorted(current))
        fact("with a context", tasks=[tagged(), untagged()], flow=sorted(flow_run.tags))
        with tags("c", "api"):
            fact("nested", tagged())
            future = untagged.submit()
            fact("subflow", child())
        fact("replaced by with_options", tagged.with_options(tags=["z"])())
        fact("mapped", tagged_number.map([1, 2]).result())
    fact("as they were when submitted", future.result())
    fact("after the context", tagged())


@task
def tagged_number(number: int) -> list:
    """A number and its tags."""
    return [number, *sorted(task_run.tags)]


if __name__ == "__main__":
    with tags("outer"):
        journey()
    fact("outside a flow", tagged())
    fact("declared", sorted(tagged.tags))
