"""Turns what a model refuses into problems for people: where, which key, what was expected, what was found.

A value is shown only where it cannot be a secret: nothing under `auth`, no part of a URL with a password, none of a
receiver's URL or password, and nothing that came from the environment.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from sim_sync.carriers.settings import Unfit
from sim_sync.config.environment import KeyPath, Resolved, key_text, value_at
from sim_sync.core.errors import Problem
from sim_sync.core.text import counted

Read = TypeVar("Read")

#: What a model expects, by the kind of its error; `{name}` is filled in with the error's own bounds.
_EXPECTED = {
    "missing": "a value",
    "string_type": "text (put numbers in quotes)",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "model_type": "keys and values",
    "dict_type": "keys and values",
    "mapping_type": "keys and values",
    "list_type": "a list",
    "tuple_type": "a list",
    "greater_than": "a number greater than {gt:g}",
    "greater_than_equal": "a number greater than or equal to {ge:g}",
    "less_than": "a number less than {lt:g}",
    "less_than_equal": "a number less than or equal to {le:g}",
    "string_too_short": "text of at least {min_length}",
    "string_too_long": "text of at most {max_length}",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
}
#: What bounds a length, of a text, a secret one too, or of a list.
_LENGTHS = frozenset({"string_too_short", "string_too_long", "too_short", "too_long"})
#: Whoever knows the URL of a webhook can write there.
_SECRETS_OF_RECEIVERS = frozenset({"url", "secret", "user", "password"})
_KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
}


@cache
def reader_of(model: Any) -> Callable[[Any], Any]:
    """Return what reads a value as a model, or as one of a union of them: building it is most of what reading costs."""
    adapter: TypeAdapter[Any] = TypeAdapter(model)
    return adapter.validate_python


def read_part(
    read: Callable[[Any], Read], part: Resolved, at: KeyPath, where: str, *, known_keys: Collection[str] = ()
) -> tuple[Read | None, list[Problem]]:
    """Return what `read` makes of a part, or the problems that it has with it.

    A value whose variable is missing was reported already, so what a model says about it is left out.
    """
    unset = {place for place in part.from_variables if value_at(part.value, place[len(at) :]) is None}
    try:
        return read(part.value), []
    except ValidationError as refused:
        keys = _Keys(read, known_keys, part.value)
        found = [_problem(error, part, at, where, keys) for error in refused.errors(include_url=False)]
        return None, [
            problem for place, problem in found if not any(place[: len(missing)] == missing for missing in unset)
        ]


def _problem(error: Any, part: Resolved, at: KeyPath, where: str, keys: "_Keys") -> tuple[KeyPath, Problem]:
    kind = error["type"]
    path = _without_tags(error["loc"], part.value, ends_in_a_key=kind == "missing")
    place = (*at, *path)
    if kind == "extra_forbidden":
        return place, _unknown_key(place, where, keys.at(path[:-1]))
    expected = _bounds_of(error) or _expected_of(error, part.variable_at(place))
    expected = part.without_values(expected, at)
    found = "nothing" if kind == "missing" else _shown(error["input"], place, part)
    return place, Problem(where, key_text(place), expected, found)


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys that may stand in a part: on top those that are given, below what the JSON Schema of its model has."""

    read: Callable[[Any], Any]
    on_top: Collection[str]
    value: Any

    def at(self, path: KeyPath) -> Collection[str]:
        if not path and self.on_top:
            return self.on_top
        schema = self._schema()
        schemas, value = list(_alternatives(schema, schema, self.value)), self.value
        for step in path:
            value = value_at(value, (step,))
            below = [found for one in schemas for found in _below(one, step)]
            schemas = [found for one in below for found in _alternatives(one, schema, value)]
        return {key for one in schemas for key in one.get("properties", ())}

    def _schema(self) -> Mapping[str, Any]:
        """Return the JSON Schema of the model that `read` belongs to; an empty one where there is none."""
        model: Any = getattr(self.read, "__self__", None)
        with suppress(PydanticUserError):  # a plug-in's model may have none
            return (model if isinstance(model, TypeAdapter) else TypeAdapter(model)).json_schema()
        return {}


def _alternatives(schema: Mapping[str, Any], whole: Mapping[str, Any], value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what a schema may stand for, of several types the one that the value names."""
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _alternatives(choice, whole, value)
    own_type = schema.get("properties", {}).get("type", {}).get("const")
    if own_type is None or not isinstance(value, Mapping) or value.get("type") == own_type:
        yield schema


def _below(schema: Mapping[str, Any], step: str | int) -> Iterator[Mapping[str, Any]]:
    """Yield the schemas of what stands under a key, or in a list."""
    others = schema.get("items" if isinstance(step, int) else "additionalProperties")
    found = schema.get("properties", {}).get(step, others)
    if isinstance(found, Mapping):
        yield found


def _unknown_key(place: KeyPath, where: str, known_keys: Collection[str]) -> Problem:
    from difflib import get_close_matches  # of those few who mistyped a key

    near = get_close_matches(str(place[-1]), known_keys, n=1)
    expected = f"one of {', '.join(sorted(known_keys))}" if known_keys else "only known keys"
    found = f"an unknown key{f'; did you mean {near[0]}?' if near else ''}"
    return Problem(where, key_text(place), expected, found)


def _bounds_of(error: Any) -> str | None:
    """Return what a model expects, where that can be said by the kind of its error and its bounds alone."""
    kind, bounds = error["type"], error.get("ctx", {})
    if kind not in _EXPECTED:
        return None
    if kind in _LENGTHS:
        noun, plural = ("character", None) if isinstance(error["input"], str) else ("entry", "entries")
        lengths = {name: bounds[name] for name in ("min_length", "max_length") if bounds.get(name) is not None}
        bounds = {name: counted(length, noun, plural) for name, length in lengths.items()}
    return _EXPECTED[kind].format_map(bounds)


def _expected_of(error: Any, variable: str | None) -> str:
    """Return what a model expects; in general words where a value came from a variable, which they may quote."""
    cause = error.get("ctx", {}).get("error")
    if variable is not None and isinstance(cause, Unfit):
        return cause.expected
    return _expected_text(error["msg"])


def _expected_text(message: str) -> str:
    for start in ("Input should be ", "Value error, "):
        message = message.removeprefix(start)
    return message[:1].lower() + message[1:]


def _shown(value: Any, place: KeyPath, part: Resolved) -> str:
    name = part.variable_at(place)
    if name is not None:
        return f"the value of the environment variable {name}"
    if isinstance(value, Mapping):
        return "keys and values"
    if value is None:
        return "nothing"
    is_of_receiver = place[0] == "alerts" and place[-1] in _SECRETS_OF_RECEIVERS
    may_be_secret = "auth" in place or is_of_receiver or (isinstance(value, str) and "@" in value)
    if may_be_secret or isinstance(value, list):
        return _KINDS.get(type(value), type(value).__name__)
    return repr(value)


def _without_tags(location: Sequence[str | int], value: Any, *, ends_in_a_key: bool) -> KeyPath:
    """Return the location without the names of union members that pydantic puts between and behind the keys.

    `ends_in_a_key` says that its last step is a key that is not there.
    """
    path: list[str | int] = []
    for number, step in enumerate(location):
        is_last = number == len(location) - 1
        if isinstance(value, Mapping):
            if step in value:
                value = value[step]
            elif not (is_last and ends_in_a_key):
                continue
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            continue
        path.append(step)
    return tuple(path)
