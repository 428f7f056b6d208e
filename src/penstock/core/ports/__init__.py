"""What the rooms ask of each other."""

from penstock.core.ports.engines import OutsideEngine
from penstock.core.ports.journal import Journal
from penstock.core.ports.journal_records import Joined, Watch
from penstock.core.ports.running import (
    Alerts,
    Engine,
    Observer,
    RemoteTaskRunner,
    ResultStore,
    Services,
    TaskRunner,
    current_engine,
    current_services,
    dataset_at,
    home_folder,
    provide_datasets,
    provide_engine,
    provide_home,
    provide_services,
)

__all__ = [
    "Alerts",
    "Engine",
    "Joined",
    "Journal",
    "Observer",
    "OutsideEngine",
    "RemoteTaskRunner",
    "ResultStore",
    "Services",
    "TaskRunner",
    "Watch",
    "current_engine",
    "current_services",
    "dataset_at",
    "home_folder",
    "provide_datasets",
    "provide_engine",
    "provide_home",
    "provide_services",
]
