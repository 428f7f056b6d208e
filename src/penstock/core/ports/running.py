"""What the execution of runs asks of its parts, and what flows and tasks ask of the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:  # these cost more than the rest of `import penstock`
    from penstock.core.events import Event, Saved
    from penstock.core.model import Alert


class ResultStore(ABC):
    """Turns values into recorded bytes and back."""

    @abstractmethod
    def save(self, value: Any) -> tuple[Saved, bytes | None]:
        """Serialize; large values go to the store and come back as a reference without bytes.

        Raises:
            ResultNotSaved: no serializer can write the value.
        """

    @abstractmethod
    def load(self, saved: Saved, data: bytes | None) -> Any:
        """The value again.

        Raises:
            ResultUnavailable: the file is missing or damaged, or its serializer is not installed.
        """

    def renew(self, saved: Saved) -> bool:
        """Another record is about to refer to this value, so that it must not be swept away; False when it is gone."""
        return True

    def adopt(self, saved: Saved, read: Callable[[str], bytes]) -> None:  # noqa: B027  # most have one place
        """Keep a value that another store has, under the same reference.

        Args:
            saved: the value.
            read: what is stored there under a reference; not asked where the value is here already.

        Raises:
            ResultUnavailable: it is not what the reference is of.
        """

    def shared(self) -> bool:
        """Whether other journals refer to what is stored here, too; then nothing is removed."""
        return False

    def sweep(self, unused: Callable[[Sequence[str]], set[str]], part: range = range(256)) -> int:
        """Remove what is stored and not used, and older than an hour; returns how much.

        Args:
            unused: tells which of some references nothing uses (see `Journal.unused`).
            part: which of 256 parts of the store to look through.
        """
        return 0

    def remove(self, refs: Iterable[str]) -> int:
        """Remove what is stored under these references, unless it was stored or renewed within the last hour."""
        return 0


class TaskRunner(ABC):
    """Runs submitted tasks beside the flow. One instance serves one flow run at a time; `duplicate` makes another."""

    max_workers: int

    @abstractmethod
    def duplicate(self) -> TaskRunner:
        """A fresh runner with the same settings."""

    @abstractmethod
    def start(self, live: Any) -> None:
        """Get ready for the tasks of one flow run."""

    @abstractmethod
    def submit(self, job: Callable[[], None]) -> None:
        """Run the job soon, on a worker of its own. Never blocks."""

    def submit_first(self, job: Callable[[], None]) -> None:
        """Run the job before those that are waiting to be run."""
        self.submit(job)

    @abstractmethod
    def stop(self, kill: bool = False) -> None:
        """Let go of all workers; with `kill`, at once."""


class RemoteTaskRunner(TaskRunner):
    """A runner that executes functions in other processes, or on other machines, and not in its own threads.

    Attributes:
        keeps: what tasks give stays there (see `penstock.core.states.Elsewhere`), and is given to other tasks as it is.
    """

    keeps = False

    def begin(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seconds: float | None,
        late: Any,
    ) -> Any:
        """Have a submitted task's function executed without holding a thread meanwhile; see `invoke`.

        Returns:
            None where only `invoke` can do it. Otherwise something with `when_ready(callback)`, `wait()`, and then
            `outcome()`, which gives or raises what the function did.
        """
        return None

    @abstractmethod
    def invoke(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seconds: float | None,
        late: Any,
    ) -> Any:
        """Execute a submitted task's function in another process or on another machine.

        Args:
            fn: the function; it may be async.
            args: positional arguments.
            kwargs: keyword arguments.
            seconds: end it for certain after so long, and raise `late`.
            late: the exception.
        """


class Engine(Protocol):
    """What `@flow` and `@task` objects call."""

    def call_task(
        self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """Run a task in place."""

    def submit_task(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any) -> Any:
        """Run a task on the flow's runner."""

    def call_flow(
        self, flow: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Any, return_state: bool
    ) -> Any:
        """Run a flow in the calling process."""

    def call_wait(self, ask: Any, awaited: bool | None = None) -> Any:
        """Wait, as a step of the run around.

        Args:
            ask: for what; see `penstock.engine.waiting.asks.Ask`.
            awaited: give a coroutine; None to find out whether the code around is async.
        """


class Alerts(Protocol):
    """A place where people are told what automations have to tell."""

    def send(self, alert: Alert) -> Mapping[str, Any] | None:
        """Pass it on, or raise. What may have been lost comes again, with the same key.

        Returns:
            What is worth recording of it.

        Raises:
            Hopeless: trying again would not help.
            Unanswered: it may be another time.
        """


class Services(Protocol):
    """What the methods of a flow that deploy it call."""

    def to_deployment(self, flow: Any, name: str | None, options: dict[str, Any]) -> Any:
        """A deployment of this flow."""

    def deploy(self, *deployments: Any) -> list[str]:
        """Put deployments into the journal, for workers; returns their names."""

    def serve(self, *deployments: Any, limit: int | None = None) -> None:
        """Deploy, and execute their runs in processes of this one until it is stopped."""


Observer: TypeAlias = "Callable[[str, Event], None]"

_provider: list[Callable[[], Engine]] = []


def provide_engine(provider: Callable[[], Engine]) -> Callable[[], Engine] | None:
    """Say where flows and tasks find their engine (called by the composition root); gives what was said before."""
    before = _provider[0] if _provider else None
    _provider[:] = [provider]
    return before


@contextmanager
def engine_in_use(engine: Engine) -> Iterator[None]:
    """Have flows and tasks of the whole process find this engine inside the `with` block."""
    before = list(_provider)
    _provider[:] = [lambda: engine]
    try:
        yield
    finally:
        _provider[:] = before


_services: list[Callable[[], Services]] = []


def provide_services(provider: Callable[[], Services]) -> None:
    """Say where flows find what deploys them (called once, by the package)."""
    _services[:] = [provider]


_home: list[Callable[[], Path]] = []


def provide_home(provider: Callable[[], Path]) -> None:
    """Say where the home folder of this process is (called once, by the package)."""
    _home[:] = [provider]


def home_folder() -> Path:
    """Penstock's home folder: that of the active Penstock, or of the settings."""
    return _home[0]()


_datasets: list[Callable[[], Callable[[str, str], Any]]] = []


def provide_datasets(provider: Callable[[], Callable[[str, str], Any]]) -> None:
    """Say what makes a dataset of a name and an address (called once, by the package)."""
    _datasets[:] = [provider]


def dataset_at(name: str, address: str) -> Any:
    """The dataset of this name at an address.

    Raises:
        ConfigurationError: there cannot be one.
    """
    return _datasets[0]()(name, address)


def current_services() -> Services:
    """What deploys and serves flows."""
    return _services[0]()


def current_engine() -> Engine:
    """The engine of this process."""
    return _provider[0]()
