"""What is stored of a record beside its fields: everything else, its secrets removed, as JSON that databases hold."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from sim_sync.core.secret_keys import is_secret_key
from sim_sync.core.storable import MAX_LEVELS, TOO_DEEP, storable_json


def attributes_text(record: Mapping[str, Any], left_out: Collection[str], as_sent: Mapping[str, str] | None) -> str:
    """Return the rest of a record; `as_sent` are identifiers whose normal form is not what the carrier sent."""
    rest = {
        key: _kept(value, 1) if isinstance(value, (dict, list)) else value
        for key, value in record.items()
        if key not in left_out and not _is_secret(key)
    }
    if as_sent:
        rest["as_sent"] = as_sent
    return storable_json(rest) if rest else "{}"


def payload_text(record: Any) -> str:
    """Return a record that could not be read, its secrets removed."""
    return storable_json(_kept(record, 0))


def json_text(value: Any) -> str:
    """Return the canonical JSON text of a value."""
    return storable_json(value)


def _kept(value: Any, level: int) -> Any:
    """Return a JSON value without its secrets: `secret_keys.without_secrets`, with each key judged once."""
    if level >= MAX_LEVELS:
        return TOO_DEEP
    if isinstance(value, dict):
        return {
            key: _kept(member, level + 1) if isinstance(member, (dict, list)) else member
            for key, member in value.items()
            if not _is_secret(key)
        }
    if isinstance(value, list):
        return [_kept(member, level + 1) if isinstance(member, (dict, list)) else member for member in value]
    return value


_is_secret = lru_cache(maxsize=4096)(is_secret_key)
