"""Where something stands in an answer or a record: JMESPath expressions, compiled once; plain keys without JMESPath."""

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

from sim_sync.core.errors import UnexpectedResponse

#: Looks something up in a JSON value; None where it is not there.
Lookup: TypeAlias = Callable[[Any], Any]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


#: What the library lets through of Python: a text beside a number, `contains` of a number in a text, `ceil` of 1e999.
_PYTHONS_OWN = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)


class BadPath(ValueError):
    """The text is no JMESPath expression."""


class PathFailed(UnexpectedResponse):
    """The expression cannot be applied to what the carrier sent."""


@lru_cache(maxsize=1024)
def lookup_of(path: str) -> Lookup:
    """Return the function that looks a path up: `id`, `status.value` or any JMESPath expression.

    The function raises `PathFailed` where the expression meets values that it is not made for. NaN and infinite numbers
    are nothing: so do programs write what they do not have.

    Raises:
        BadPath: it is none.
    """
    look_up = value_lookup_of(path)
    return lambda value: _or_nothing(look_up(value))


@lru_cache(maxsize=1024)
def value_lookup_of(path: str) -> Lookup:
    """Return the function that looks a path up in a record, as `lookup_of` does, but with NaN and infinite numbers.

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
    return lambda value: _searched(compiled.parsed, TreeInterpreter, path, value)


def list_lookup_of(path: str) -> Lookup:
    """Return the function that looks a list up, as `lookup_of` does.

    An element whose filter cannot be applied is kept: left out, it would look as if the carrier no longer had it.

    Raises:
        BadPath: it is not a path.
    """
    lookup = lookup_of(path)
    if is_plain(path):
        return lookup
    parsed = jmespath.compile(path).parsed
    return lambda value: _searched(parsed, _KeepingInterpreter, path, value)


def is_no_number(value: Any) -> bool:
    """Return whether a value is NaN or an infinite number, which JSON does not have and some programs send."""
    return isinstance(value, float) and not math.isfinite(value)


def top_level_key(path: str) -> str | None:
    """Return the key of a path that is nothing but a top-level key, otherwise None."""
    return path if "." not in path and is_plain(path) else None


def is_plain(path: str) -> bool:
    """Return whether a path is nothing but keys with dots between them."""
    return _PLAIN.fullmatch(path) is not None


def _or_nothing(value: Any) -> Any:
    return None if is_no_number(value) else value


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


def _searched(parsed: Any, interpreter: type[TreeInterpreter], path: str, value: Any) -> Any:
    try:
        return interpreter().visit(parsed, value)
    except JMESPathError:  # a function that does not take what the carrier sent: it is not there
        return None
    except _PYTHONS_OWN as error:
        kind = type(error).__name__
    raise PathFailed(f"the path {path!r} cannot be applied to what the carrier sent ({kind})")


class _KeepingInterpreter(TreeInterpreter):
    """Keeps those elements of a list whose filter fails."""

    def visit_filter_projection(self, node: Any, value: Any) -> Any:
        """Return what the projection makes of the elements that the filter lets through."""
        listed, projected, condition = node["children"]
        base = self.visit(listed, value)
        if not isinstance(base, list):
            return None
        found = (self.visit(projected, element) for element in base if self._lets_through(condition, element))
        return [one for one in found if one is not None]

    def _lets_through(self, condition: Any, element: Any) -> bool:
        try:
            found = self.visit(condition, element)
        except (JMESPathError, *_PYTHONS_OWN):
            return True
        # JMESPath's truth: nothing and what is empty is false, and every number is true.
        return bool(found) or (isinstance(found, (int, float)) and found is not False)
