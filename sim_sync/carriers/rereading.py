"""Reads a stored record of the quarantine with today's mapping. What was hidden in it is never taken for a value.

The record was stored without its secrets, and with `DAMAGED` for what no database holds. Where that stands in the place
of an id or of another fact about the SIM, only the carrier knows what it is, so the record stays where it is.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from sim_sync.carriers.json_bodies import read_json
from sim_sync.carriers.records import RecordMap
from sim_sync.carriers.secrets import HIDDEN, TEXT_FIELDS, Redactor, without_own_secrets
from sim_sync.core.pages import Page
from sim_sync.core.quarantine import Reread
from sim_sync.core.sims import Sim
from sim_sync.core.storable import DAMAGED, is_secret_key, storable_json

_NAMES_IN_PATH = re.compile(r"[\w-]+")


def reread(payload: str, record_map: RecordMap, redactor: Redactor) -> Reread:
    """Return what a stored record is now. `payload` is its JSON text, secrets removed."""
    if never_stored := fields_never_stored(record_map):
        names = ", ".join(f"`{name}`" for name in never_stored)
        return Reread([], f"expected every field in the stored record; what {names} is read from is never stored")
    try:
        record = read_json(payload.encode(), "application/json")
    except ValueError:
        return Reread([], "expected the stored record as JSON, found another text")
    sims, rejected = record_map.read_page([record])
    page = without_own_secrets(Page(sims=sims, next_cursor=None, records=1, rejected=rejected), redactor)
    problems = [(sim, _problem(sim)) for sim in page.sims]
    reasons = [*(one.reason for one in page.rejected), *(problem for _, problem in problems if problem)]
    readable = [_without_placeholders(sim) for sim, problem in problems if not problem]
    return Reread(readable, "; ".join(dict.fromkeys(reasons)) or None)


def fields_never_stored(record_map: RecordMap) -> list[str]:
    """Return the fields that are read from keys whose values are left out of every stored record."""

    def is_left_out(path: object) -> bool:
        return isinstance(path, str) and any(map(is_secret_key, _NAMES_IN_PATH.findall(path)))

    return [name for name, path in record_map.fields.items() if is_left_out(path)]


def _problem(sim: Sim) -> str | None:
    if DAMAGED in sim.sim_id:
        return "expected the id as the carrier sends it, found one with characters that no database holds"
    if hidden := sorted(set(_hidden_fields(sim))):
        names = ", ".join(f"`{name}`" for name in hidden)
        return f"expected {names} as the carrier sends it, found {HIDDEN}: one of the account's secrets was in it"
    return None


def _hidden_fields(sim: Sim) -> Iterator[str]:
    for name in TEXT_FIELDS:
        if HIDDEN in (getattr(sim, name) or ""):
            yield name
    if HIDDEN in sim.attributes:
        as_sent = json.loads(sim.attributes).get("as_sent")
        yield from (name for name, value in (as_sent or {}).items() if HIDDEN in value)


def _without_placeholders(sim: Sim) -> Sim:
    if HIDDEN not in sim.attributes:
        return sim
    return sim._replace(attributes=storable_json(_pruned(json.loads(sim.attributes))))


def _pruned(value: Any) -> Any:
    """Return a JSON value without the members and elements that hold a placeholder."""
    match value:
        case dict():
            return {
                key: _pruned(member) for key, member in value.items() if not (_is_hidden(key) or _is_hidden(member))
            }
        case list():
            return [_pruned(member) for member in value if not _is_hidden(member)]
        case _:
            return value


def _is_hidden(value: Any) -> bool:
    return isinstance(value, str) and HIDDEN in value
