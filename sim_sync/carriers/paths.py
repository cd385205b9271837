"""Where something stands in an answer or a record: JMESPath expressions, compiled once; plain keys without JMESPath."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError

#: Looks something up in a JSON value; None where it is not there.
Lookup: TypeAlias = Callable[[Any], Any]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


class BadPath(ValueError):
    """The text is no JMESPath expression."""


@lru_cache(maxsize=1024)
def lookup_of(path: str) -> Lookup:
    """Return the function that looks a path up: `id`, `status.value` or any JMESPath expression.

    Raises:
        BadPath: it is none.
    """
    if is_plain(path):
        head, *rest = path.split(".")
        return _in_depth(head, rest) if rest else _at_the_top(head)
    try:
        compiled = jmespath.compile(path)
    except JMESPathError as error:
        raise BadPath(f"{path!r} is no JMESPath expression: {' '.join(str(error).split())}") from None
    return lambda value: _searched(compiled, value)


def top_level_key(path: str) -> str | None:
    """Return the key of a path that is nothing but a top-level key, otherwise None."""
    return path if "." not in path and is_plain(path) else None


def is_plain(path: str) -> bool:
    """Return whether a path is nothing but keys with dots between them."""
    return _PLAIN.fullmatch(path) is not None


def _at_the_top(key: str) -> Lookup:
    return lambda value: value.get(key) if isinstance(value, Mapping) else None


def _in_depth(head: str, rest: list[str]) -> Lookup:
    def look_up(value: Any) -> Any:
        found = value.get(head) if isinstance(value, Mapping) else None
        for key in rest:
            if not isinstance(found, Mapping):
                return None
            found = found.get(key)
        return found

    return look_up


def _searched(compiled: Any, value: Any) -> Any:
    try:
        return compiled.search(value)
    except JMESPathError:  # a function that does not take what the carrier sent: it is not there
        return None
