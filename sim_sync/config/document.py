"""Reads a YAML file as plain data. What it means is not known here.

YAML 1.2's core rules, not those of 1.1: `NO` and `on` are words, `0001` keeps its zeros, a date is text. Status words
and account names are written like that. A key that appears twice is a problem, not a guess.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from sim_sync.core.errors import ConfigError, Problem

#: A carrier's name is a partition key, part of session ids and of file names.
CARRIER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the resolvers of YAML 1.2. It says the place of what is wrong exactly."""


class _Scanner(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # known at run time only
    """Reads the events of a text, by libyaml where PyYAML has it."""


class _Unusual(Exception):
    """Something that only the exact loader knows, or an error whose place it says."""


def _unusual(_text: str) -> None:
    raise _Unusual


_RESOLVERS: Sequence[tuple[str, re.Pattern[str], Sequence[str], Callable[[str], Any]]] = (
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF", lambda text: text.lower() == "true"),
    ("int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), "-+0123456789", int),
    (
        "float",
        re.compile(r"^[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?|\.[0-9]+)$"),
        "-+0123456789.",
        float,
    ),
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""], lambda _text: None),
    ("merge", re.compile(r"^(?:<<)$"), "<", _unusual),
)

_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first, _ in _RESOLVERS:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))


class _Repeated(yaml.MarkedYAMLError):
    """A key appears twice in one mapping."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key that is a list or a mapping", problem_mark=key.start_mark)
        if key.value in seen:
            raise _Repeated(problem=f"the key {key.value!r} appears twice", problem_mark=key.start_mark)
        seen.add(key.value)
    loader.flatten_mapping(node)
    mapping: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return mapping


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


class _Builder:
    """Builds a document from its events, as `_Loader` does, in a third of the time: it keeps no places, and no nodes.

    A file of 500 carriers is read every few seconds by the sensor. Tags and everything that is an error are left to
    the exact loader.
    """

    def __init__(self, text: str) -> None:
        self._next = iter(yaml.parse(text, Loader=_Scanner)).__next__
        self._anchored: dict[str, Any] = {}
        self._plain: dict[str, Any] = {}  # words and numbers repeat: each is looked at once

    def document(self) -> Any:
        """Return the only document; None where there is none."""
        self._next()
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        built = self._value(self._next())
        self._next()
        if not isinstance(self._next(), yaml.StreamEndEvent):
            raise _Unusual
        return built

    def _value(self, event: Any) -> Any:
        kind = type(event)
        if kind is yaml.AliasEvent:
            return self._alias(event)
        if event.tag is not None or event.anchor in self._anchored:
            raise _Unusual
        if kind is yaml.ScalarEvent:
            built = self._scalar(event)
        elif kind is yaml.MappingStartEvent:
            built = self._mapping()
        else:
            built = self._sequence()
        if event.anchor is not None:
            self._anchored[event.anchor] = built
        return built

    def _alias(self, event: Any) -> Any:
        try:
            return self._anchored[event.anchor]
        except KeyError:  # unknown, or within itself
            raise _Unusual from None

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        try:
            return self._plain[text]
        except KeyError:
            self._plain[text] = value = _plain_value(text)
            return value

    def _sequence(self) -> list[Any]:
        built = []
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            built.append(self._value(event))
        return built

    def _mapping(self) -> dict[Any, Any]:
        own: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        written: set[str] = set()
        while type(event := self._next()) is not yaml.MappingEndEvent:
            if type(event) is not yaml.ScalarEvent or event.value in written:
                raise _Unusual
            if event.value == "<<" and event.implicit[0]:
                merged.update(_mergeable(self._value(self._next())))
                continue
            key = self._value(event)
            written.add(event.value)
            own[key] = self._value(self._next())
        return {**merged, **own}


def _plain_value(text: str) -> Any:
    for _tag, pattern, first, made in _RESOLVERS:
        if text[:1] in first and pattern.match(text):
            return made(text)
    return text


def _mergeable(value: Any) -> dict[Any, Any]:
    """Return the keys that a merge key brings: those of a mapping, or of several, of which the first one counts."""
    mappings = [value] if isinstance(value, dict) else value
    if not isinstance(mappings, list) or not all(isinstance(one, dict) for one in mappings):
        raise _Unusual
    return {key: member for one in reversed(mappings) for key, member in one.items()}


def read_document(path: Path) -> Mapping[str, Any]:
    """Return the content of a YAML file whose top level is a mapping.

    Raises:
        ConfigError: the file cannot be read, is no YAML, or holds something else than a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError([_unreadable(path, error)]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(path), "the file", "text in UTF-8", "other bytes")]) from None
    try:
        document = _load(text)
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_problem(path, error)]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError([Problem(str(path), "the file", "valid YAML", type(error).__name__)]) from None
    if not isinstance(document, Mapping):
        expected = "keys such as `carriers:` at the top level"
        found = "an empty file" if document is None else type(document).__name__
        raise ConfigError([Problem(str(path), "the file", expected, found)])
    return document


def _load(text: str) -> Any:
    """Return the document; what is unusual or wrong is read again by the loader that says the place exactly."""
    with suppress(_Unusual, yaml.YAMLError, ValueError, RecursionError):
        return _Builder(text).document()
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader, with fewer resolvers


def _unreadable(path: Path, error: OSError) -> Problem:
    found = error.strerror or type(error).__name__
    told = "there is no such file here" if isinstance(error, FileNotFoundError) else f"it cannot be read ({found})"
    hint = ", or let `sim-sync init` write one" if isinstance(error, FileNotFoundError) else ""
    sentence = f"{told}; run this in the folder where it lies, or name it in SIM_SYNC_CONFIG{hint}"
    return Problem(str(path), "", "a readable file", found, sentence)


def _syntax_problem(path: Path, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
    # The line itself is not shown: it may hold a secret.
    told = error.problem or error.context or "a syntax error"
    return Problem(str(path), place, "valid YAML", told, f"expected valid YAML: {told}")
