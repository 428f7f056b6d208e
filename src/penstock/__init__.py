"""Penstock: flows of plain Python functions, run durably."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.authoring.flows import Flow, flow
from penstock.authoring.tasks import Task, task
from penstock.core.annotations import allow_failure, quote, unmapped
from penstock.core.context import tags
from penstock.core.errors import PenstockError
from penstock.core.extras import LateModule, late
from penstock.core.ports import provide_datasets, provide_engine, provide_home, provide_services
from penstock.core.release import VERSION as __version__
from penstock.core.states import State

if TYPE_CHECKING:
    from penstock import runtime
    from penstock.app import Penstock, answer_run, resume
    from penstock.engine.limits.calls import concurrency, rate_limit
    from penstock.engine.logs import get_run_logger
    from penstock.engine.transactions.blocks import transaction
    from penstock.engine.transactions.joining import journal_transaction
    from penstock.engine.waiting.asking import approve, pause_run, sleep, wait_for_input
    from penstock.engine.waiting.asks import Approval
    from penstock.events import emit_event
    from penstock.flow_runs import pause_flow_run, resume_flow_run, suspend_flow_run
    from penstock.orchestrator.services import deploy, serve

__all__ = [
    "Approval", "Flow", "Penstock", "PenstockError", "State", "Task", "__version__", "allow_failure", "answer_run",
    "approve", "concurrency", "deploy", "emit_event", "flow", "get_run_logger", "journal_transaction",
    "pause_flow_run", "pause_run", "quote", "rate_limit", "resume", "resume_flow_run", "runtime", "serve", "sleep",
    "suspend_flow_run", "tags", "task", "transaction", "unmapped", "wait_for_input",
]  # fmt: skip

_LATE = {
    "penstock.app": "Penstock answer_run resume",
    "penstock.engine.waiting.asking": "approve pause_run sleep wait_for_input",
    "penstock.engine.waiting.asks": "Approval",
    "penstock.engine.limits.calls": "rate_limit",
    "penstock.engine.logs": "get_run_logger",
    "penstock.engine.transactions.blocks": "transaction",
    "penstock.engine.transactions.joining": "journal_transaction",
    "penstock.events": "emit_event",
    "penstock.flow_runs": "pause_flow_run resume_flow_run suspend_flow_run",
    "penstock.orchestrator.services": "deploy serve",
    "": "concurrency runtime",
}
__getattr__ = late(__name__, {name: module for module, names in _LATE.items() for name in names.split()})
_app: Any = LateModule("penstock.app")
_services: Any = LateModule("penstock.orchestrator.services")
_data: Any = LateModule("penstock.data.dataset")
provide_engine(lambda: _app.current().engine)
provide_home(lambda: _app.current_home())
provide_services(lambda: _services)
provide_datasets(lambda: _data.Dataset)
