"""Every connector by its type name: our own, listed here, and those that other packages bring as plug-ins.

A plug-in is a `Connector` behind an entry point of the group `sim_sync.connectors`, under its own type name. One that
cannot be used is left out, named in the log and in `connector_problems`, and stops no other.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
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


@cache
def built_in() -> Mapping[str, "Connector"]:
    """Return our own connectors by their types."""
    # Imported when the first carrier is read: who only needs the config's shape does not load every vendor.
    from sim_sync.carriers import rest
    from sim_sync.carriers.vendors import (
        cisco_control_center,
        emnify,
        hologram,
        kore_super_sim,
        one_nce,
        soracom,
        telnyx,
        thingspace,
        tmf639,
        twilio_super_sim,
        twilio_wireless,
    )

    ours = (
        twilio_super_sim.CONNECTOR,
        twilio_wireless.CONNECTOR,
        kore_super_sim.CONNECTOR,
        telnyx.CONNECTOR,
        emnify.CONNECTOR,
        one_nce.CONNECTOR,
        hologram.CONNECTOR,
        soracom.CONNECTOR,
        cisco_control_center.CONNECTOR,
        thingspace.CONNECTOR,
        tmf639.CONNECTOR,
        rest.CONNECTOR,
    )
    return MappingProxyType({connector.type: connector for connector in ours})


@cache
def _installed() -> Registry:
    from importlib.metadata import entry_points

    registry = collect(entry_points(group=GROUP))
    for problem in registry.problems.values():
        _log.warning("%s", problem)
    return registry


def _load(plug_in: "EntryPoint", found: Mapping[str, "Connector"]) -> "Connector":
    if plug_in.name in built_in():
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
