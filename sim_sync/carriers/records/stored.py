"""What is stored of a record beside its fields: everything else, its secrets removed, as text any database can hold."""

import json
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from sim_sync.carriers.secrets import is_secret_key

#: One encoder for all records; the same text as `canonical_json`.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode


def attributes_text(record: Mapping[str, Any], left_out: Collection[str], as_sent: Mapping[str, str] | None) -> str:
    """Return the rest of a record; `as_sent` are identifiers whose normal form is not what the carrier sent."""
    rest = {
        key: _kept(value) if isinstance(value, (dict, list)) else value
        for key, value in record.items()
        if key not in left_out and not _is_secret(key)
    }
    if as_sent:
        rest["as_sent"] = as_sent
    return storable(_encode(rest)) if rest else "{}"


def payload_text(record: Any) -> str:
    """Return a record that could not be read, its secrets removed."""
    return storable(json_text(_kept(record)))


def json_text(value: Any) -> str:
    """Return the canonical JSON text of a value."""
    return _encode(value)


def storable(text: str) -> str:
    """Return the text as every database can hold it: a NUL becomes the replacement character, a lone surrogate `?`."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\ufffd").encode("utf-8", errors="replace").decode("utf-8")


def _kept(value: Any) -> Any:
    """Return a JSON value without its secrets: `secrets.without_secrets`, with each key judged once."""
    if isinstance(value, dict):
        return {
            key: _kept(member) if isinstance(member, (dict, list)) else member
            for key, member in value.items()
            if not _is_secret(key)
        }
    if isinstance(value, list):
        return [_kept(member) if isinstance(member, (dict, list)) else member for member in value]
    return value


_is_secret = lru_cache(maxsize=4096)(is_secret_key)
