"""Parameters given as text: `--param name=value` and files, read by what the flow's annotations ask for."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from penstock.authoring.parameters import annotations_of, validate
from penstock.core.errors import ConfigurationError, ParameterError

Mistakes = list[tuple[str, str]]


class Arguments(typing.NamedTuple):
    """What the flow is called with."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def arguments_for(
    flow: Any, given: Sequence[str], file: Path | None, profile: Mapping[str, Any] | None = None
) -> Arguments:
    """The flow's arguments from `name=value` texts, over those of a file, over those of the profile.

    Raises:
        ParameterError: it lists every mistake: unknown and missing names, values that do not fit.
        ConfigurationError: the file cannot be read.
    """
    target = f"flow {flow.name!r}"
    mistakes: Mistakes = []
    values: dict[str, Any] = {**(profile or {}), **(read_file(file) if file is not None else {})}
    values.update(_parsed(flow, given, mistakes))
    signature: inspect.Signature = flow.signature
    wrong = {name for name, _ in mistakes}
    mistakes += _unknown(signature, values) + _missing(signature, values, wrong)
    known = {n: v for n, v in values.items() if n in signature.parameters and n not in wrong}
    mistakes += _misfits(flow, target, signature, known)
    if mistakes:
        order = list(signature.parameters)
        mistakes.sort(key=lambda item: order.index(_base(item[0])) if _base(item[0]) in order else len(order))
        error = ParameterError(target, mistakes)
        error.hint = f"penstock flows show {flow.entrypoint or flow.name}"
        raise error
    return _placed(signature, values)


def given_parameters(
    flow: Any, given: Sequence[str], file: Path | None = None, profile: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Some of the flow's parameters, as `arguments_for` has them: others are given elsewhere.

    Raises:
        ParameterError: it lists every mistake: unknown names, values that do not fit.
        ConfigurationError: the file cannot be read.
    """
    target = f"flow {flow.name!r}"
    mistakes: Mistakes = []
    values: dict[str, Any] = {**(profile or {}), **(read_file(file) if file is not None else {})}
    values.update(_parsed(flow, given, mistakes))
    mistakes += _unknown(flow.signature, values)
    mistakes += _misfits(
        flow, target, flow.signature, {n: v for n, v in values.items() if n in flow.signature.parameters}
    )
    if mistakes:
        raise ParameterError(target, mistakes)
    return values


def _base(where: str) -> str:
    return where.split(".")[0].split("[")[0]


def _parsed(flow: Any, given: Sequence[str], mistakes: Mistakes) -> dict[str, Any]:
    annotations = annotations_of(flow.fn)
    values: dict[str, Any] = {}
    for item in given:
        name, equals, text = item.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            mistakes.append((item, "give it as NAME=VALUE"))
            continue
        if name in values:
            mistakes.append((name, "given twice"))
            continue
        try:
            values[name] = from_text(text, annotations.get(name, Any))
        except ValueError as error:
            mistakes.append((name, str(error)))
            values[name] = text
    return values


def from_text(text: str, kind: Any) -> Any:
    """A value as the annotation wants it, as far as that is a matter of reading text; validation does the rest.

    Raises:
        ValueError: JSON is needed, and this is none.
    """
    kinds = _alternatives(kind)
    if kinds <= {str, type(None)} and str in kinds:
        return text
    if kinds == {bytes}:
        return text.encode()
    if type(None) in kinds and text == "null":
        return None
    literals = [choice for found in kinds if get_origin(found) is Literal for choice in get_args(found)]
    if literals:
        if text in literals or all(isinstance(choice, str) for choice in literals):
            return text
        return _json_or(text, text)
    if Any in kinds or object in kinds:
        return _json_or(text, text)
    structured = [found for found in kinds if _is_structured(found)]
    if structured:
        value = _json_or(text, _NOTHING)
        if value is not _NOTHING and not (str in kinds and isinstance(value, (int, float, bool))):
            return value
        if len(structured) < len(kinds - {type(None)}):
            return text
        raise ValueError(f"give it as JSON, such as '{_example(structured[0])}'; {_cut(text)} is not JSON")
    return text


_NOTHING = object()


def _json_or(text: str, otherwise: Any) -> Any:
    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogateescape"))
    except (msgspec.DecodeError, UnicodeError):
        return otherwise


def _alternatives(kind: Any) -> set[Any]:
    """The types a value may have, unions and `Annotated` taken apart."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _alternatives(get_args(kind)[0])
    if origin is Union or origin is types.UnionType:
        return set().union(*(_alternatives(member) for member in get_args(kind)))
    if kind is None:
        return {type(None)}
    if isinstance(kind, typing.TypeVar):
        return {Any}
    return {kind}


def _is_structured(kind: Any) -> bool:
    """True for what is written as a JSON list or object: collections and classes with fields."""
    bare = get_origin(kind) or kind
    if not isinstance(bare, type):
        return False
    if issubclass(bare, (list, tuple, set, frozenset, dict, msgspec.Struct)) or typing.is_typeddict(bare):
        return True
    named = ("__dataclass_fields__", "__pydantic_validator__", "model_fields")
    return bare.__module__ == "collections.abc" or any(hasattr(bare, name) for name in named)


def _example(kind: Any) -> str:
    bare = get_origin(kind) or kind
    mapping = isinstance(bare, type) and (issubclass(bare, dict) or "Mapping" in bare.__name__)
    fields = typing.is_typeddict(bare) or hasattr(bare, "__dataclass_fields__") or hasattr(bare, "model_fields")
    return '{"name": "value"}' if mapping or fields else '["a", "b"]'


def _cut(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _unknown(signature: inspect.Signature, values: dict[str, Any]) -> Mistakes:
    if any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        return []
    known = ", ".join(signature.parameters) or "none"
    return [(name, f"no such parameter (there are: {known})") for name in values if name not in signature.parameters]


def _missing(signature: inspect.Signature, values: dict[str, Any], wrong: set[str]) -> Mistakes:
    return [
        (p.name, "missing")
        for p in signature.parameters.values()
        if p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        and p.name not in values
        and p.name not in wrong
    ]


def _misfits(flow: Any, target: str, signature: inspect.Signature, known: dict[str, Any]) -> Mistakes:
    if not flow.should_validate_parameters:
        return []
    variadic = {p.name for p in signature.parameters.values() if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    try:
        validate(target, flow.fn, {name: value for name, value in known.items() if name not in variadic})
    except ParameterError as error:
        return error.mistakes
    return []


def _placed(signature: inspect.Signature, values: dict[str, Any]) -> Arguments:
    """Arguments by position only where they must be."""
    by_position: list[Any] = []
    kwargs = dict(values)
    kinds = {p.kind for p in signature.parameters.values() if p.name in values}
    rest: Any = ()
    for p in signature.parameters.values():
        if p.kind is p.VAR_POSITIONAL and p.name in values:
            rest = kwargs.pop(p.name)
        elif p.kind is p.POSITIONAL_ONLY or (p.kind is p.POSITIONAL_OR_KEYWORD and p.VAR_POSITIONAL in kinds):
            by_position.append(kwargs.pop(p.name) if p.name in kwargs else p.default)
    return Arguments((*by_position, *(rest if isinstance(rest, (list, tuple)) else [rest])), kwargs)


def read_file(file: Path) -> dict[str, Any]:
    """Parameters from a .json, .toml, .yaml or .yml file.

    Raises:
        ConfigurationError: it cannot be read, or holds no table of parameters.
        MissingExtra: YAML needs PyYAML.
    """
    shape = "a parameters file holds one value for each name"
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The parameters file {str(file)!r} cannot be read: {error.strerror}.", hint="check the path"
        ) from error
    kind = file.suffix.lower()
    try:
        if kind == ".toml":
            import tomllib

            found: Any = tomllib.loads(data.decode())
        elif kind in (".yaml", ".yml"):
            found = _yaml(data)
        elif kind == ".json":
            found = msgspec.json.decode(data)
        else:
            raise ConfigurationError(
                f"{str(file)!r} is no kind of parameters file that is known.", hint="name it .json, .toml or .yaml"
            )
    except ValueError as error:
        raise ConfigurationError(f"{str(file)!r} is not correct {kind[1:].upper()}: {error}.", hint=shape) from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ConfigurationError(f"{str(file)!r} holds a {type(found).__name__}, not a table of names.", hint=shape)
    return found


def _yaml(data: bytes) -> Any:
    try:
        yaml: Any = importlib.import_module("yaml")
    except ModuleNotFoundError:
        raise ConfigurationError(
            "A YAML file needs PyYAML, which is not installed.",
            hint="install it with: pip install pyyaml (or write the file as JSON or TOML)",
        ) from None
    try:
        return yaml.safe_load(data) or {}
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def plain_parameters(given: Sequence[str], file: Path | None) -> dict[str, Any]:
    """Parameters of something whose annotations are not known here: each is JSON, or else a text.

    Raises:
        ConfigurationError: one is not understood, or the file cannot be read.
    """
    values: dict[str, Any] = read_file(file) if file is not None else {}
    for item in given:
        name, equals, text = item.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(f"--param {item!r} is no parameter.", hint="give it as NAME=VALUE")
        try:
            values[name.strip()] = msgspec.json.decode(text.encode("utf-8", "surrogateescape"))
        except (msgspec.DecodeError, UnicodeError):
            values[name.strip()] = text
    return values
