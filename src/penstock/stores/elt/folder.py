"""A folder of SQL files that refer to each other."""

from __future__ import annotations

import copy
import difflib
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.authoring import PenstockFuture, Task
from penstock.core.errors import ParameterBindError
from penstock.stores.elt import graph
from penstock.stores.elt.failures import BadModel, refuse
from penstock.stores.elt.models import SUFFIX, Draft, Model, drafted
from penstock.stores.elt.tasks import Materialized, beside, check_values, task_of
from penstock.stores.elt.templates import REQUIRED
from penstock.stores.elt.warehouses import Where
from penstock.stores.warehouse.names import Name, TableName, parsed
from penstock.stores.warehouse.warehouse import ANALYTICS

_TARGET = "the SQL models"


class SqlFolder:
    """The models in a folder and the folders below it.

    Args:
        folder: beside the file that names it, or in the working folder.
        warehouse: see `sql_task`.
        inputs: tables that stand for refs which no model is called.
        variables: values of `var("name")`.
        schema: of what is made, when a file does not say.
        adopt: see `sql_task`.
        options: of every task, see `@task`.

    Attributes:
        models: by name, each after those that it refers to.

    Raises:
        BadModel: with every mistake in every file, models of one name, refs that lead nowhere, and rings.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        warehouse: Where = None,
        inputs: Mapping[str, TableName] | None = None,
        variables: Mapping[str, Any] | None = None,
        schema: str = ANALYTICS,
        adopt: bool = False,
        **options: Any,
    ) -> None:
        path = beside(folder, sys._getframe(1).f_globals.get("__file__"))
        tables = {name: parsed(table, schema) for name, table in (inputs or {}).items()}
        drafts = _drafts(path, str(folder), variables or {}, schema)
        refuse(f"the SQL models of {folder}", _mistakes(drafts, tables))
        relations = {**tables, **{draft.name: draft.config.table for draft in drafts if draft.config is not None}}
        found = {draft.name: draft.model(variables or {}, relations) for draft in drafts}
        self.folder = str(folder)
        self._graph: dict[str, tuple[str, ...]] = {name: model.refs for name, model in found.items()}
        self.models: dict[str, Model] = {name: found[name] for name in graph.in_order(self._graph)}
        self._adopt, self._options = adopt, options
        self._warehouse = warehouse
        self.tasks = self._tasks()

    def __repr__(self) -> str:
        return f"SqlFolder({self.folder!r}, {len(self.models)} models)"

    def on(self, warehouse: Where) -> SqlFolder:
        """The same models in another warehouse, such as one that is known in a flow only."""
        other = copy.copy(self)
        other._warehouse = warehouse
        other.tasks = other._tasks()
        return other

    def select(
        self, wanted: str | Sequence[str] | None = None, exclude: str | Sequence[str] | None = None
    ) -> list[str]:
        """The names of models, each after those that it refers to.

        Args:
            wanted: `orders`, `stg_*` or `tag:daily`; `+orders`: with all it refers to; `orders+`: with all that refers
                to it; `2+orders`: two steps at most. A blank means "and", a comma "that are also". None: all.
            exclude: without these.

        Raises:
            BadModel: a term chooses nothing.
        """
        tags = {name: model.config.tags for name, model in self.models.items()}
        left_out = graph.selected(self._graph, tags, exclude) if exclude is not None else set()
        chosen = graph.selected(self._graph, tags, wanted) - left_out
        return [name for name in self.models if name in chosen]

    def submit(
        self,
        select: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        *,
        full_refresh: bool = False,
        wait_for: Iterable[Any] | None = None,
        **params: Any,
    ) -> dict[str, PenstockFuture[Materialized]]:
        """Submit the models as tasks; each waits for those that it refers to.

        Args:
            select: which ones; see `select`.
            exclude: without these.
            full_refresh: make incremental ones anew.
            wait_for: futures that must complete before the first one.
            params: of the models; each gets those that it names.

        Raises:
            BadModel: a term chooses nothing.
            ParameterBindError: with every parameter that is missing or that no model names; nothing was submitted.
        """
        chosen = self.select(select, exclude)
        self._check(chosen, params)
        before = graph.waits(self._graph, chosen)
        futures: dict[str, PenstockFuture[Materialized]] = {}
        for name in chosen:
            model = self.models[name]
            own = {each: params[each] for each in model.params if each in params}
            if full_refresh and model.config.kind == "incremental":
                own["full_refresh"] = True
            waits = [*(wait_for or ()), *(futures[each] for each in sorted(before[name]))]
            futures[name] = self.tasks[name].submit(wait_for=waits, **own)
        return futures

    def run(
        self,
        select: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        *,
        full_refresh: bool = False,
        wait_for: Iterable[Any] | None = None,
        **params: Any,
    ) -> dict[str, Materialized]:
        """Submit the models and wait for all of them; see `submit`.

        Returns:
            What each was made into.

        Raises:
            DataError: of the first one that failed; the others were waited for.
        """
        futures = self.submit(select, exclude, full_refresh=full_refresh, wait_for=wait_for, **params)
        for future in futures.values():
            future.wait()
        return {name: future.result() for name, future in futures.items()}

    def _tasks(self) -> dict[str, Task[..., Materialized]]:
        made = {}
        for name, model in self.models.items():
            tags = {*(self._options.get("tags") or ()), *model.config.tags}
            options = {**self._options, "tags": tags}
            made[name] = task_of(model, self._warehouse, adopt=self._adopt, **options)
        return made

    def _check(self, chosen: Sequence[str], params: Mapping[str, Any]) -> None:
        """See that the models get all they need, and nothing that nobody asks for."""
        taken: dict[str, list[str]] = {}
        needed: dict[str, list[str]] = {}
        for name in chosen:
            for param, default in self.models[name].params.items():
                taken.setdefault(param, []).append(name)
                if default is REQUIRED:
                    needed.setdefault(param, []).append(name)
        known = ", ".join(sorted(taken)) or "none"
        told = f"no model that was chosen takes it (there are: {known})"
        wrong = [(name, told) for name in params if name not in taken]
        wrong += [(name, f"missing; {', '.join(who)} takes it") for name, who in needed.items() if name not in params]
        if wrong:
            raise ParameterBindError(_TARGET, wrong)
        check_values(_TARGET, params)


def _drafts(path: Path, shown: str, variables: Mapping[str, Any], schema: str) -> list[Draft]:
    """Look at every file.

    Raises:
        BadModel: there is no such folder, or nothing in it.
    """
    if not path.is_dir():
        raise BadModel(f"There is no folder {shown}.", hint="it is looked for beside this file, then where you are")
    files = sorted(each for each in path.rglob(f"*{SUFFIX}") if not _hidden(each.relative_to(path)))
    if not files:
        raise BadModel(f"There are no SQL files in {shown}.", hint=f"a model is a SELECT in a file NAME{SUFFIX}")
    shown = shown.rstrip("/")
    return [drafted(each, f"{shown}/{each.relative_to(path).as_posix()}", variables, schema) for each in files]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _mistakes(drafts: Sequence[Draft], tables: Mapping[str, Name]) -> list[str]:
    """All that is wrong with the files, each and together."""
    found = [mistake for draft in drafts for mistake in draft.mistakes]
    files: dict[str, list[str]] = {}
    makers: dict[Name, list[str]] = {}
    for draft in drafts:
        files.setdefault(draft.name, []).append(draft.file)
        if draft.config is not None:
            makers.setdefault(draft.config.table, []).append(draft.file)
    for name, same in files.items():
        if len(same) > 1:
            found.append(f"{' and '.join(same)} are two models of the name {name}")
    for table, same in makers.items():
        if len({Path(file).name for file in same}) > 1:
            found.append(f"{' and '.join(same)} both make {table}")
    found += [f"{name} is a model, and also among the inputs" for name in tables if name in files]
    return found + _lost(drafts, tables, set(files))


def _lost(drafts: Sequence[Draft], tables: Mapping[str, Name], names: set[str]) -> list[str]:
    """Refs that lead nowhere, inputs that nothing refers to, and rings."""
    refs = {draft.name: tuple(draft.template.facts.refs) for draft in drafts}
    known = {*names, *tables}
    found = []
    for draft in drafts:
        for ref in draft.template.facts.refs:
            if ref not in known:
                found.append(f'{draft.file}: ref("{ref}") is no model and no input{_close(ref, known)}')
    used = {ref for draft in drafts for ref in draft.template.facts.refs}
    unused = [name for name in tables if name not in used | names]
    found += [f'there is no ref("{name}") in any model, which is among the inputs' for name in unused]
    rings = [" -> ".join([*ring, ring[0]]) for ring in graph.cycles(refs)]
    return found + [f"models refer to each other in a ring: {ring}" for ring in rings]


def _close(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), 1)
    return f" (did you mean {close[0]}?)" if close else ""
