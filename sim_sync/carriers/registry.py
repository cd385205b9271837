"""Every connector by its type name: our own, listed here, and those that other packages bring as plug-ins.

A plug-in is a `Connector` behind an entry point of the group `sim_sync.connectors`, under its own type name. One that
cannot be used is left out, named in `connector_problems` and, where plug-ins are looked for, in the log; it stops no
other.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the building blocks of connectors are loaded with the first of them
    from importlib.metadata import EntryPoint

    from sim_sync.carriers.connector import Connector

GROUP = "sim_sync.connectors"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Registry:
    """The connectors that can be used, and why a plug-in cannot, by the type name that it would have had."""

    connectors: Mapping[str, "Connector"]
    problems: Mapping[str, str]


class _Unusable(Exception):
    """A plug-in that cannot be used; the text says why."""


def connectors() -> Mapping[str, "Connector"]:
    """Return every connector by the `type` that `carriers.yaml` gives it."""
    return _installed().connectors


def connector_of(kind: str) -> "Connector | None":
    """Return the connector of a type; None where there is none that can be used. One of ours is loaded alone."""
    return _ours(kind) if kind in _OURS else connectors().get(kind)


def connector_problems() -> Mapping[str, str]:
    """Return why installed plug-ins cannot be used, by their type names."""
    return _installed().problems


def collect(plug_ins: Iterable["EntryPoint"]) -> Registry:
    """Return our own connectors and those of plug-ins."""
    found = dict(built_in())
    problems: dict[str, str] = {}
    for plug_in in plug_ins:
        try:
            found[plug_in.name] = _load(plug_in, found)
        except _Unusable as reason:
            problems[plug_in.name] = f"the connector plug-in {plug_in.name!r} ({_origin(plug_in)}) {reason}"
    return Registry(MappingProxyType(found), MappingProxyType(problems))


#: Where our own connectors are, by their types: each is loaded where a carrier is of its type.
_OURS: Mapping[str, str] = MappingProxyType(
    {
        "twilio_super_sim": "sim_sync.carriers.vendors.twilio_super_sim",
        "twilio_wireless": "sim_sync.carriers.vendors.twilio_wireless",
        "kore_super_sim": "sim_sync.carriers.vendors.kore_super_sim",
        "telnyx": "sim_sync.carriers.vendors.telnyx",
        "emnify": "sim_sync.carriers.vendors.emnify",
        "one_nce": "sim_sync.carriers.vendors.one_nce",
        "hologram": "sim_sync.carriers.vendors.hologram",
        "soracom": "sim_sync.carriers.vendors.soracom",
        "cisco_control_center": "sim_sync.carriers.vendors.cisco_control_center",
        "thingspace": "sim_sync.carriers.vendors.thingspace",
        "tmf639": "sim_sync.carriers.vendors.tmf639",
        "rest": "sim_sync.carriers.rest",
    }
)


@cache
def built_in() -> Mapping[str, "Connector"]:
    """Return our own connectors by their types."""
    return MappingProxyType({kind: _ours(kind) for kind in _OURS})


def _ours(kind: str) -> "Connector":
    connector: Connector = import_module(_OURS[kind]).CONNECTOR
    return connector


@cache
def _installed() -> Registry:
    from importlib.metadata import entry_points

    registry = collect(entry_points(group=GROUP))
    for problem in registry.problems.values():
        _log.warning("%s", problem)
    return registry


def _load(plug_in: "EntryPoint", found: Mapping[str, "Connector"]) -> "Connector":
    if plug_in.name in _OURS:
        raise _Unusable("has the name of a built-in connector, which stays as it is: give it another name")
    if plug_in.name in found:
        raise _Unusable("has the name of another plug-in, which is used: uninstall one of them")
    try:
        loaded = plug_in.load()
    except Exception as error:  # noqa: BLE001 - another package's code may fail in any way
        raise _Unusable(f"could not be imported: {type(error).__name__}: {error}") from None
    from sim_sync.carriers.connector import Connector

    if not isinstance(loaded, Connector):
        raise _Unusable(f"is a {type(loaded).__name__}, expected a sim_sync.carriers.connector.Connector")
    if loaded.type != plug_in.name:
        raise _Unusable(f"brings the type {loaded.type!r}: the entry point's name and the type have to be the same")
    return loaded


def _origin(plug_in: "EntryPoint") -> str:
    package = "" if plug_in.dist is None else f"{plug_in.dist.name} {plug_in.dist.version}: "
    return f"{package}{plug_in.value}"
