"""`/api/v1/pools`, `/workers`, `/limits`, `/datasets`: where runs are executed, and what they make."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from penstock.control.access import Viewer, check_all
from penstock.control.api.plans_models import DatasetOut, LimitOut, PoolOut, WorkerOut
from penstock.control.models import Page
from penstock.control.wiring import ThePenstock
from penstock.core.errors import PlanNotFound
from penstock.core.events import now_us
from penstock.orchestrator.plan_records import dataset_record, is_alive, limit_record, pool_record, worker_record
from penstock.orchestrator.pools import find_pool, known_pools

router = APIRouter(tags=["plans"])
_Limit = Annotated[int, Query(ge=1, le=500)]
_Skip = Annotated[int, Query(ge=0, le=1_000_000)]
_Text = Annotated[str, Query(max_length=200, description="part of the name")]


@router.get("/pools")
def list_pools(penstock: ThePenstock, user: Viewer) -> list[PoolOut]:
    """Every pool by name: how many of its runs wait and how many are executed."""
    check_all(user)
    now, journal = now_us(), penstock.journal
    workers = [each for each in journal.workers() if is_alive(each, now)]
    return [
        PoolOut.model_validate(pool_record(pool, [each for each in workers if each.pool == pool.name]))
        for pool in known_pools(journal)
    ]


@router.get("/pools/{name}")
def get_pool(name: str, penstock: ThePenstock, user: Viewer) -> PoolOut:
    """One pool."""
    check_all(user)
    now, journal = now_us(), penstock.journal
    workers = [each for each in journal.workers(name) if is_alive(each, now)]
    return PoolOut.model_validate(pool_record(find_pool(journal, name), workers))


@router.get("/workers")
def list_workers(
    penstock: ThePenstock, user: Viewer, pool: Annotated[str | None, Query(max_length=1000)] = None
) -> list[WorkerOut]:
    """Workers that have reported themselves and not left."""
    check_all(user)
    now = now_us()
    return [WorkerOut.model_validate(worker_record(each, now)) for each in penstock.journal.workers(pool)]


@router.get("/limits")
def list_limits(penstock: ThePenstock, user: Viewer) -> list[LimitOut]:
    """Every limit that is declared: how many slots are taken, and how many wait for one."""
    check_all(user)
    return [LimitOut.model_validate(limit_record(each)) for each in penstock.journal.limits()]


@router.get("/datasets")
def list_datasets(
    penstock: ThePenstock, user: Viewer, skip: _Skip = 0, limit: _Limit = 50, text: _Text = ""
) -> Page[DatasetOut]:
    """List datasets by name: where each is, and when it was written and read last."""
    check_all(user)
    found = [each for each in penstock.journal.datasets() if text in each.name]
    items = [DatasetOut.model_validate(dataset_record(each)) for each in found[skip : skip + limit]]
    return Page(items=items, total=len(found), skip=skip, limit=limit, next=None)


@router.get("/datasets/{name:path}")
def get_dataset(name: str, penstock: ThePenstock, user: Viewer) -> DatasetOut:
    """One dataset, by its name or its place. What happened to it is among the events, `about` its name."""
    check_all(user)
    found = penstock.journal.datasets(name)
    if not found:
        raise PlanNotFound(f"There is no dataset {name!r}.", hint="the list of datasets shows those there are")
    return DatasetOut.model_validate(dataset_record(found[0]))
