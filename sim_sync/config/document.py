"""Reads a YAML file as plain data. What it means is not known here.

YAML 1.2's core rules, not those of 1.1: `NO` and `on` are words, `0001` keeps its zeros, a date is text. Status words
and account names are written like that. A key that appears twice is a problem, not a guess.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from sim_sync.core.errors import ConfigError, Problem

#: A carrier's name is a partition key, part of session ids and of file names.
CARRIER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the resolvers of YAML 1.2."""


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # known at run time only
    """The same on libyaml's parser where PyYAML has it: ten times as fast, which a file of 500 carriers feels."""


_RESOLVERS = (
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?|\.[0-9]+)$"),
        "-+0123456789.",
    ),
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:merge", re.compile(r"^(?:<<)$"), "<"),
)
for _loader in (_Loader, _FastLoader):
    _loader.yaml_implicit_resolvers = {}
    for _tag, _pattern, _first in _RESOLVERS:
        _loader.add_implicit_resolver(_tag, _pattern, list(_first))


class _Repeated(yaml.MarkedYAMLError):
    """A key appears twice in one mapping."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        if key.value in seen:
            raise _Repeated(problem=f"the key {key.value!r} appears twice", problem_mark=key.start_mark)
        seen.add(key.value)
    loader.flatten_mapping(node)
    mapping: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return mapping


for _loader in (_Loader, _FastLoader):
    _loader.add_constructor("tag:yaml.org,2002:map", _mapping)


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
    """Return the document; what the fast parser refuses is read again by the one that says the place exactly."""
    with suppress(yaml.YAMLError):
        return yaml.load(text, _FastLoader)  # noqa: S506 - a safe loader, with fewer resolvers
    return yaml.load(text, _Loader)  # noqa: S506 - the same


def _unreadable(path: Path, error: OSError) -> Problem:
    found = error.strerror or type(error).__name__
    told = "there is no such file here" if isinstance(error, FileNotFoundError) else f"it cannot be read ({found})"
    sentence = f"{told}; run this in the folder where it lies, or name it in SIM_SYNC_CONFIG"
    return Problem(str(path), "", "a readable file", found, sentence)


def _syntax_problem(path: Path, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
    # The line itself is not shown: it may hold a secret.
    told = error.problem or error.context or "a syntax error"
    return Problem(str(path), place, "valid YAML", told, f"expected valid YAML: {told}")
