"""Work pools and their queues: how many runs at once, which come first, and whether any are taken at all.

A pool is there as soon as something names it; what is set here only limits it.
"""

from __future__ import annotations

from penstock.core.errors import DeploymentError, InvalidTransition, PlanNotFound
from penstock.core.events import now_us
from penstock.core.model import Pool, Queue
from penstock.core.plans import PoolDeclared, PoolDeleted, QueueDeclared, QueueDeleted
from penstock.core.ports import Journal
from penstock.core.ports.reading import Reading
from penstock.orchestrator.plans import change_plan


class Keep:
    """Says that something stays as it is, where None would say that there is no limit."""


KEEP = Keep()


def find_pool(journal: Reading, name: str) -> Pool:
    """One pool: something was set for it, a deployment names it, or runs or workers are in it.

    Raises:
        PlanNotFound: nothing names it.
    """
    found = next((pool for pool in known_pools(journal) if pool.name == name), None)
    if found is None:
        known = ", ".join(pool.name for pool in known_pools(journal)) or "none"
        raise PlanNotFound(f"There is no pool {name!r}.", hint=f"pools there are: {known}")
    return found


def known_pools(journal: Reading) -> list[Pool]:
    """Every pool that anything names, by name."""
    found = {pool.name: pool for pool in journal.pools()}
    named = [deployment.pool for deployment in journal.deployments()] + [worker.pool for worker in journal.workers()]
    for name in named:
        found.setdefault(name, Pool(name=name))
    return [found[name] for name in sorted(found)]


def set_pool(
    journal: Journal,
    name: str,
    *,
    slots: int | Keep | None = KEEP,
    paused: bool | Keep = KEEP,
    description: str | Keep | None = KEEP,
) -> Pool:
    """Say how many runs of a pool may be executed at once over all its workers, or that none is to be taken.

    Raises:
        DeploymentError: the name or the number cannot be.
    """
    _check(name, slots)

    def decide() -> PoolDeclared | None:
        known = next(iter(journal.pools(name)), Pool(name=name))
        event = PoolDeclared(
            at=now_us(),
            name=name,
            slots=known.slots if isinstance(slots, Keep) else slots,
            paused=known.paused if isinstance(paused, Keep) else paused,
            description=known.description if isinstance(description, Keep) else description,
        )
        before = (known.slots, known.paused, known.description)
        return None if (event.slots, event.paused, event.description) == before else event

    change_plan(journal, "pool", name, decide)
    return next(iter(journal.pools(name)), Pool(name=name))


def set_queue(
    journal: Journal,
    pool: str,
    name: str,
    *,
    priority: int | Keep = KEEP,
    slots: int | Keep | None = KEEP,
    paused: bool | Keep = KEEP,
) -> Queue:
    """Say which queue of a pool comes first, how many of its runs may be executed at once, or that none is taken.

    Raises:
        DeploymentError: a name or a number cannot be.
    """
    _check(pool, None)
    _check(name, slots)

    def known() -> Queue:
        queues = next(iter(journal.pools(pool)), Pool(name=pool)).queues
        return next((queue for queue in queues if queue.name == name), Queue(pool=pool, name=name))

    def decide() -> QueueDeclared | None:
        now = known()
        event = QueueDeclared(
            at=now_us(),
            pool=pool,
            name=name,
            priority=now.priority if isinstance(priority, Keep) else priority,
            slots=now.slots if isinstance(slots, Keep) else slots,
            paused=now.paused if isinstance(paused, Keep) else paused,
        )
        return None if (event.priority, event.slots, event.paused) == (now.priority, now.slots, now.paused) else event

    change_plan(journal, "pool", pool, decide)
    return known()


def delete_queue(journal: Journal, pool: str, name: str) -> None:
    """Forget what was set for a queue; its runs stay in it, and come after no others.

    Raises:
        PlanNotFound: nothing was set for it.
    """

    def decide() -> QueueDeleted:
        queues = next(iter(journal.pools(pool)), Pool(name=pool)).queues
        if all(queue.name != name for queue in queues):
            known = ", ".join(queue.name for queue in queues) or "none"
            raise PlanNotFound(
                f"Nothing is set for a queue {name!r} of the pool {pool!r}.", hint=f"queues with settings: {known}"
            )
        return QueueDeleted(at=now_us(), pool=pool, name=name)

    change_plan(journal, "pool", pool, decide)


def delete_pool(journal: Journal, name: str) -> None:
    """Forget what was set for a pool and its queues.

    Raises:
        PlanNotFound: nothing names it.
        InvalidTransition: deployments or runs are in it, which would then have no limits any more.
    """

    def decide() -> PoolDeleted:
        pool = find_pool(journal, name)
        users = [deployment.name for deployment in journal.deployments() if deployment.pool == name]
        runs = pool.waiting + pool.running
        if users or runs:
            used = f"the deployments {', '.join(users[:5])}" if users else f"{runs:,} runs"
            raise InvalidTransition(
                f"The pool {name!r} is in use by {used}.",
                hint=f"give them another pool first, or only lift its limit: penstock pools set {name} --no-limit",
            )
        return PoolDeleted(at=now_us(), name=name, queues=tuple(queue.name for queue in pool.queues))

    change_plan(journal, "pool", name, decide)


def _check(name: str, slots: int | Keep | None) -> None:
    if not name or "/" in name or name != name.strip() or not name.isprintable():
        raise DeploymentError(f"The name {name!r} must be a text without slashes and without space around it.")
    if isinstance(slots, int) and slots < 1:
        raise DeploymentError(f"A limit of {slots} cannot be.", hint="to take no runs at all, pause it")
