"""Arguments of a flow: bound, checked and converted by their annotations, with every mistake reported at once."""

from __future__ import annotations

import collections.abc
import copy
import dataclasses
import datetime
import decimal
import enum
import inspect
import pathlib
import sys
import types
import typing
import uuid
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from penstock.core import typed
from penstock.core.errors import ParameterBindError, ParameterTypeError

Mistakes = list[tuple[str, str]]

_LEAVES = {int, float, bool, datetime.datetime, datetime.date, datetime.time, datetime.timedelta, uuid.UUID}
_LEAVES |= {decimal.Decimal}
_WORDS_FOR_BOOL = {"yes": True, "y": True, "on": True, "t": True, "no": False, "n": False, "off": False, "f": False}
_SEQUENCES = {list, collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Collection}
_SETS = {set, frozenset, collections.abc.Set, collections.abc.MutableSet}
_MAPPINGS = {dict, collections.abc.Mapping, collections.abc.MutableMapping}


def bind(target: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by parameter name, defaults included (a mutable default is copied for every call).

    Raises:
        ParameterBindError: with every argument that is missing or unexpected.
    """
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ParameterBindError(target, _binding_mistakes(signature, args, kwargs, str(error))) from None
    given = set(bound.arguments)
    bound.apply_defaults()
    return {
        name: value if name in given or type(value) not in (list, dict, set) else copy.deepcopy(value)
        for name, value in bound.arguments.items()
    }


def _binding_mistakes(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any], fallback: str
) -> Mistakes:
    mistakes: Mistakes = []
    named = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_position = {p.name for p in named[: len(args)]}
    variadic = any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
    if len(args) > len(named) and not variadic:
        mistakes.append(("(positional)", f"takes {len(named)} positional arguments, got {len(args)}"))
    catch_all = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name in kwargs:
        if name in by_position:
            mistakes.append((name, "given twice: by position and by name"))
        elif name not in signature.parameters and not catch_all:
            known = ", ".join(signature.parameters) or "none"
            mistakes.append((name, f"no such parameter (there are: {known})"))
    for p in signature.parameters.values():
        needed = p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        if needed and p.name not in by_position and p.name not in kwargs:
            mistakes.append((p.name, "missing"))
    return mistakes or [("(call)", fallback)]


def call_arguments(signature: inspect.Signature, parameters: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The way back: parameters by name, as positional and keyword arguments."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for p in signature.parameters.values():
        if p.name not in parameters:
            continue
        value = parameters[p.name]
        if p.kind is p.VAR_POSITIONAL:
            args.extend(value)
        elif p.kind is p.VAR_KEYWORD:
            kwargs.update(value)
        elif p.kind is p.KEYWORD_ONLY:
            kwargs[p.name] = value
        else:
            args.append(value)
    return tuple(args), kwargs


def annotations_of(fn: Callable[..., Any]) -> dict[str, Any]:
    """Resolved annotations; those that cannot be resolved are left out, and so not checked."""
    try:
        return typing.get_type_hints(fn, include_extras=True)
    except Exception:
        found = getattr(fn, "__annotations__", {})
        return {name: kind for name, kind in found.items() if not isinstance(kind, str)}


def validate(target: str, fn: Callable[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Check and convert every parameter.

    Raises:
        ParameterTypeError: it lists every mistake, each with its path, such as `user.tags[2]`.
    """
    annotations = annotations_of(fn)
    mistakes: Mistakes = []
    checked: dict[str, Any] = {}
    signature = inspect.signature(fn)
    for name, value in parameters.items():
        if name not in annotations:
            checked[name] = value
            continue
        kind = annotations[name]
        declared = signature.parameters[name].kind if name in signature.parameters else None
        if declared is inspect.Parameter.VAR_POSITIONAL:
            kind = types.GenericAlias(tuple, (kind, ...))
        elif declared is inspect.Parameter.VAR_KEYWORD:
            kind = types.GenericAlias(dict, (str, kind))
        checked[name] = convert(value, kind, name, mistakes)
    if mistakes:
        raise ParameterTypeError(target, mistakes)
    return checked


def convert(value: Any, kind: Any, path: str, mistakes: Mistakes) -> Any:
    """Convert one value to a type; what does not fit is added to `mistakes` under its path."""
    origin = get_origin(kind)
    if origin is typing.Annotated:
        return _convert_annotated(value, kind, path, mistakes)
    if kind is Any or kind is object or isinstance(kind, typing.TypeVar):
        return value
    if origin is Union or origin is types.UnionType:
        return _convert_union(value, kind, path, mistakes)
    if origin is Literal:
        return _convert_literal(value, get_args(kind), path, mistakes)
    if kind is None or kind is type(None):
        return value if value is None else _mistake(value, "None", path, mistakes)
    bare = origin or kind
    if bare in _SEQUENCES or bare in _SETS or bare is tuple or bare in _MAPPINGS:
        return _convert_collection(value, bare, get_args(kind), path, mistakes)
    if typing.is_typeddict(bare):
        return _convert_fields(value, typing.get_type_hints(bare), _required_keys(bare), dict, path, mistakes)
    if not isinstance(bare, type):
        return value
    return _convert_class(value, bare, kind, path, mistakes)


def _required_keys(kind: Any) -> set[str]:
    """What a TypedDict must have; Python itself does not see NotRequired in annotations that are texts."""
    hints = typing.get_type_hints(kind, include_extras=True)
    optional = {name for name, hint in hints.items() if get_origin(hint) is typing.NotRequired}
    needed = {name for name, hint in hints.items() if get_origin(hint) is typing.Required}
    return (set(kind.__required_keys__) | needed) - optional


def _mistake(value: Any, expected: str, path: str, mistakes: Mistakes) -> Any:
    try:
        shown = repr(value)
    except Exception:
        shown = f"<{type(value).__name__}>"
    if len(shown) > 60:
        shown = shown[:57] + "..."
    mistakes.append((path, f"expected {expected}, got {shown} ({type(value).__name__})"))
    return value


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")


def _pydantic() -> Any:
    return sys.modules.get("pydantic")


def _convert_pydantic(value: Any, kind: Any, path: str, mistakes: Mistakes) -> Any:
    pydantic = _pydantic()
    try:
        return pydantic.TypeAdapter(kind, config=None).validate_python(value)
    except pydantic.ValidationError as error:
        for item in error.errors():
            where = path + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in item["loc"])
            mistakes.append((where, item["msg"]))
        return value


def _convert_annotated(value: Any, kind: Any, path: str, mistakes: Mistakes) -> Any:
    inner, *extras = get_args(kind)
    if _pydantic() is not None and any(type(e).__module__.startswith(("pydantic", "annotated_types")) for e in extras):
        return _convert_pydantic(value, kind, path, mistakes)
    before = len(mistakes)
    converted = convert(value, inner, path, mistakes)
    if len(mistakes) == before and any(isinstance(e, msgspec.Meta) for e in extras):
        try:
            typed.convert(converted, kind)
        except msgspec.ValidationError as error:
            mistakes.append((path, str(error)))
    return converted


def _convert_union(value: Any, kind: Any, path: str, mistakes: Mistakes) -> Any:
    members = get_args(kind)
    for member in members:
        bare = get_origin(member) or member
        if isinstance(bare, type) and type(value) is bare and not get_args(member):
            return value
    for member in members:
        trial: Mistakes = []
        converted = convert(value, member, path, trial)
        if not trial:
            return converted
    return _mistake(value, " or ".join(_name(member) for member in members), path, mistakes)


def _convert_literal(value: Any, choices: tuple[Any, ...], path: str, mistakes: Mistakes) -> Any:
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    return _mistake(value, "one of " + ", ".join(map(repr, choices)), path, mistakes)


def _convert_collection(value: Any, bare: Any, args: tuple[Any, ...], path: str, mistakes: Mistakes) -> Any:
    if bare in _MAPPINGS:
        if not isinstance(value, collections.abc.Mapping):
            return _mistake(value, "a mapping", path, mistakes)
        if not args or args == (Any, Any):
            return value
        of_key, of_value = args
        converted: dict[Any, Any] = {
            convert(k, of_key, f"{path}[key {k!r}]", mistakes): convert(v, of_value, f"{path}[{k!r}]", mistakes)
            for k, v in value.items()
        }
        return converted
    wanted = "a tuple" if bare is tuple else "a set" if bare in _SETS else "a list"
    if isinstance(value, (str, bytes, collections.abc.Mapping)) or not isinstance(value, collections.abc.Iterable):
        return _mistake(value, wanted, path, mistakes)
    make: Any = tuple if bare is tuple else frozenset if bare is frozenset else set if bare in _SETS else list
    items = value if isinstance(value, (list, tuple, set, frozenset)) else list(value)
    if not args or (len(args) == 1 and args[0] is Any):
        return items if isinstance(items, make) else make(items)
    if bare is tuple and not (len(args) == 2 and args[1] is Ellipsis):
        if len(items) != len(args):
            return _mistake(value, f"a tuple of {len(args)}", path, mistakes)
        return tuple(convert(v, k, f"{path}[{i}]", mistakes) for i, (v, k) in enumerate(zip(items, args, strict=True)))
    return make([convert(item, args[0], f"{path}[{i}]", mistakes) for i, item in enumerate(items)])


def _convert_fields(value: Any, hints: dict[str, Any], required: Any, make: Any, path: str, mistakes: Mistakes) -> Any:
    if not isinstance(value, collections.abc.Mapping):
        return _mistake(value, "a mapping of its fields", path, mistakes)
    before = len(mistakes)
    fields: dict[str, Any] = {}
    for name in value:
        if name not in hints:
            mistakes.append((f"{path}.{name}", f"no such field (there are: {', '.join(hints)})"))
    for name, kind in hints.items():
        if name in value:
            fields[name] = convert(value[name], kind, f"{path}.{name}", mistakes)
        elif name in required:
            mistakes.append((f"{path}.{name}", "missing"))
    return make(**fields) if len(mistakes) == before else value


def _convert_class(value: Any, bare: type, kind: Any, path: str, mistakes: Mistakes) -> Any:
    pydantic = _pydantic()
    if pydantic is not None and (issubclass(bare, pydantic.BaseModel) or hasattr(bare, "__pydantic_validator__")):
        return value if isinstance(value, bare) else _convert_pydantic(value, kind, path, mistakes)
    if bare in _LEAVES or issubclass(bare, enum.Enum):
        if type(value) is bare or (isinstance(value, bare) and not isinstance(value, bool)):
            return value
        if isinstance(value, bool) and bare in (int, float):
            return bare(value)
        return _convert_leaf(value, bare, path, mistakes)
    if isinstance(value, bare):
        return value
    if bare is str or bare is bytes:
        return _mistake(value, _name(bare), path, mistakes)
    if issubclass(bare, pathlib.PurePath) and isinstance(value, str):
        return bare(value)
    if dataclasses.is_dataclass(bare):
        hints = typing.get_type_hints(bare, include_extras=True)
        fields = [f for f in dataclasses.fields(bare) if f.init]
        missing = dataclasses.MISSING
        required = {f.name for f in fields if f.default is missing and f.default_factory is missing}
        return _convert_fields(value, {f.name: hints[f.name] for f in fields}, required, bare, path, mistakes)
    if issubclass(bare, msgspec.Struct) or issubclass(bare, tuple):
        return _convert_leaf(value, bare, path, mistakes)
    return _mistake(value, _name(kind), path, mistakes)


def _convert_leaf(value: Any, bare: type, path: str, mistakes: Mistakes) -> Any:
    if bare is float and type(value) is int:
        return float(value)
    if bare is bool and isinstance(value, str) and value.lower() in _WORDS_FOR_BOOL:
        return _WORDS_FOR_BOOL[value.lower()]
    try:
        return typed.convert(value, bare, strict=False)
    except (msgspec.ValidationError, TypeError):
        pass
    if issubclass(bare, enum.Enum):
        if isinstance(value, str) and value in bare.__members__:
            return bare[value]
        choices = ", ".join(repr(member.value) for member in bare)
        return _mistake(value, f"one of {choices}", path, mistakes)
    return _mistake(value, _name(bare), path, mistakes)
