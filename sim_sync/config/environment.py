"""Replaces `{env: NAME}` by the value of the environment variable, and remembers where it did: those may be secrets.

`{env: NAME, default: VALUE}` takes the value where the variable is not set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sim_sync.core.errors import Problem

#: Where a value stands: keys and list positions from the top of the file.
Place: TypeAlias = tuple[str | int, ...]


@dataclass(slots=True)
class Resolved:
    """A part of the file with its variables filled in. `from_variables` names the variable of each place."""

    value: Any
    from_variables: dict[Place, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def resolve(value: Any, at: Place, environ: Mapping[str, str], where: str) -> Resolved:
    """Fill in the variables of a part of the file that stands at `at`; a missing one is a problem, its value None."""
    resolver = _Resolver(environ, where)
    resolver.resolved.value = resolver.fill_in(value, at)
    return resolver.resolved


def variable_of(value: Any) -> str | None:
    """Return NAME of `{env: NAME}`, with or without a default, and None for every other value."""
    if isinstance(value, Mapping) and "env" in value and set(value) <= {"env", "default"}:
        name = value["env"]
        return name if isinstance(name, str) else None
    return None


def key_text(place: Place) -> str:
    """Return a place as people write it: `carriers.acme.auth.token`."""
    return ".".join(map(str, place)) or "the file"


class _Resolver:
    def __init__(self, environ: Mapping[str, str], where: str) -> None:
        self.resolved = Resolved(None)
        self._environ = environ
        self._where = where

    def fill_in(self, value: Any, at: Place) -> Any:
        name = variable_of(value)
        if name is not None:
            self.resolved.from_variables[at] = name
            return self._environ.get(name) or self._default(value, name, at)
        if isinstance(value, Mapping):
            return {key: self.fill_in(member, (*at, key)) for key, member in value.items()}
        if isinstance(value, list):
            return [self.fill_in(member, (*at, number)) for number, member in enumerate(value)]
        return value

    def _default(self, reference: Mapping[str, Any], name: str, at: Place) -> Any:
        if "default" in reference:
            return reference["default"]
        found = "it is empty" if name in self._environ else "it is not set"
        expected = f"the environment variable {name} to be set"
        sentence = f"expected {expected}; {found}"
        self.resolved.problems.append(Problem(self._where, key_text(at), expected, found, sentence))
        return None
