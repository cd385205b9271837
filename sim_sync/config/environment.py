"""Replaces `{env: NAME}` by the value of the environment variable, and remembers where it did: those may be secrets.

`{env: NAME, default: VALUE}` takes the value where the variable is not set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sim_sync.core.errors import Problem

#: A shorter value is a part of ordinary words.
_SHORTEST_HIDDEN = 4
#: Where a value stands: keys and list positions from the top of the file.
KeyPath: TypeAlias = tuple[str | int, ...]


@dataclass(slots=True)
class Resolved:
    """A part of the file with its variables filled in. `from_variables` names the variable of each place."""

    value: Any
    from_variables: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def values(self, at: KeyPath) -> dict[KeyPath, str]:
        """Return the texts that came from variables, by their places below `at`, where this part stands."""
        places = {place: value_at(self.value, place[len(at) :]) for place in self.from_variables}
        return {place[len(at) :]: value for place, value in places.items() if isinstance(value, str)}

    def without_values(self, text: str, at: KeyPath) -> str:
        """Return a message in which each value that came from a variable is that variable's name."""
        for place, value in sorted(self.values(at).items(), key=lambda found: -len(found[1])):
            if len(value) >= _SHORTEST_HIDDEN:
                text = text.replace(value, f"{{env: {self.from_variables[(*at, *place)]}}}")
        return text

    def variable_at(self, place: KeyPath) -> str | None:
        """Return the variable that a place, or what it is a part of, came from."""
        parents = (place[:end] for end in range(len(place) + 1))
        return next((self.from_variables[parent] for parent in parents if parent in self.from_variables), None)


def resolve(value: Any, at: KeyPath, environ: Mapping[str, str], where: str) -> Resolved:
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


def value_at(value: Any, path: KeyPath) -> Any:
    """Return what stands at a path below a value, or None."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def key_text(place: KeyPath) -> str:
    """Return a place as people write it: `carriers.acme.auth.token`."""
    return ".".join(map(str, place)) or "the file"


class _Resolver:
    def __init__(self, environ: Mapping[str, str], where: str) -> None:
        self.resolved = Resolved(None)
        self._environ = environ
        self._where = where

    def fill_in(self, value: Any, at: KeyPath) -> Any:
        name = variable_of(value)
        if name is not None:
            self.resolved.from_variables[at] = name
            return self._environ.get(name) or self._default(value, name, at)
        if isinstance(value, Mapping):
            return {key: self.fill_in(member, (*at, key)) for key, member in value.items()}
        if isinstance(value, list):
            return [self.fill_in(member, (*at, number)) for number, member in enumerate(value)]
        return value

    def _default(self, reference: Mapping[str, Any], name: str, at: KeyPath) -> Any:
        if "default" in reference:
            return reference["default"]
        found = "it is empty" if name in self._environ else "it is not set"
        expected = f"the environment variable {name} to be set"
        sentence = f"expected {expected}; {found}"
        self.resolved.problems.append(Problem(self._where, key_text(at), expected, found, sentence))
        return None
