"""One event of every kind, with every field set to something that is not its default."""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import Any

import msgspec
from msgspec import inspect

from penstock.core import typed
from penstock.core.audit import AUDIT
from penstock.core.datasets import DATASETS
from penstock.core.events import EVENTS, Event
from penstock.core.plans import PLANS
from penstock.core.sealed import CONNECTIONS
from penstock.core.uploads import UPLOADS
from penstock.core.verdicts import VERDICTS
from penstock.core.webhooks import WEBHOOKS


def sample(kind: Any, numbers: Any = None) -> Any:
    """A value of a type, with everything set that it can hold; the same whenever it is made.

    Args:
        kind: a type, or what `typed.type_info` says of it.
        numbers: where the numbers in it come from.
    """
    numbers = numbers or count(2)
    known = kind if isinstance(kind, inspect.Type) else typed.type_info(kind)
    match known:
        case inspect.StructType():
            return known.cls(**{f.name: sample(f.type, numbers) for f in msgspec.structs.fields(known.cls)})
        case inspect.UnionType():
            return sample(next(each for each in known.types if not isinstance(each, inspect.NoneType)), numbers)
        case inspect.VarTupleType():
            return (sample(known.item_type, numbers), sample(known.item_type, numbers))
        case inspect.TupleType():
            return tuple(sample(each, numbers) for each in known.item_types)
        case inspect.DictType():
            return {f"zoë {next(numbers)}": sample(known.value_type, numbers)}
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return next(numbers)
        case inspect.FloatType():
            return next(numbers) + 0.5
        case inspect.StrType():
            return f"text {next(numbers)}"
        case inspect.BytesType():
            return b"bytes %d" % next(numbers)
        case inspect.ListType():
            return [sample(known.item_type, numbers)]
        case inspect.AnyType():
            return [next(numbers), None, {"b": 1.5}]
    raise TypeError(f"No sample for {known!r}.")


@cache
def every_event() -> tuple[Event, ...]:
    """One event of every kind there is."""
    late = (*PLANS, *VERDICTS, *CONNECTIONS, *DATASETS, *WEBHOOKS, *UPLOADS, *AUDIT)
    return tuple(sample(kind) for kind in dict.fromkeys((*EVENTS.values(), *late)))
