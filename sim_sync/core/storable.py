"""What every database can hold, and what is never stored because its key says that it is a secret.

A value that cannot be held is changed visibly, and `DAMAGED` shows where. A key is never changed, because another key
may become the same: what cannot be held is none. PostgreSQL takes no NUL and no lone surrogate; a count has 64 bits in
both databases; SQLite's JSON functions end at 1,000 levels, and PostgreSQL's indexes at 2,704 bytes a row.

A SIM's own secrets are its PINs and PUKs and the keys of its card: Ki and OPc (3GPP TS 33.102), ADM1, the keys KIC, KID
and KIK of messages over the air (ETSI TS 102 225). Beside them stand logins of every kind.
"""

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

# --- what databases hold ---------------------------------------------------------------------------------------------

#: Stands where a character was that cannot be held.
DAMAGED = "\N{REPLACEMENT CHARACTER}"
#: The longest key, in UTF-8: an index has four of them in a row.
MAX_KEY_BYTES = 1000
#: So deep may JSON be nested; what is deeper is left out.
MAX_LEVELS = 100
#: Stands where the rest was left out.
TOO_DEEP = f"{DAMAGED} more than {MAX_LEVELS} levels"
MAX_COUNT = 2**63 - 1

#: Python writes no whole number of more than 4,300 digits (`sys.set_int_max_str_digits`).
_MOST_BITS = 14_000
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
#: The same text as `canonical_json`, but of numbers that JSON has.
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=str
).encode


def is_storable(text: str) -> bool:
    """Return whether every database can hold a text as it is."""
    return "\x00" not in text if text.isascii() else _UNSTORABLE.search(text) is None


def storable_text(text: str) -> str:
    """Return a text that every database can hold: `DAMAGED` for each NUL and lone surrogate."""
    return text if text.isascii() and "\x00" not in text else _UNSTORABLE.sub(DAMAGED, text)


def storable_count(count: int | None) -> int | None:
    """Return a count, or None where it has more than 64 bits: nobody knows how many that are."""
    return None if count is None or count > MAX_COUNT else count


def key_problem(key: str) -> str | None:
    """Return why a text can be no key, or None where it can."""
    if len(key) <= MAX_KEY_BYTES and key.isascii() and "\x00" not in key:  # nearly all
        return None
    if not is_storable(key):
        return "a NUL or a lone surrogate in it"
    size = len(key.encode())
    return f"{size:,} bytes" if size > MAX_KEY_BYTES else None


def canonical_json(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, so that equal values are equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def storable_json(value: object) -> str:
    """Return the canonical text of a JSON value that every database and its JSON functions can hold.

    NUL and lone surrogates are `DAMAGED`, in keys too; NaN and infinite numbers are null; what is nested deeper than
    `MAX_LEVELS` is left out.
    """
    try:
        text = _encode(value)
    except (ValueError, RecursionError):  # a number that JSON does not have; levels without end
        return _encode(_cleaned(value, 0))
    return text if _is_plain(text) else _encode(_cleaned(value, 0))


def _is_plain(text: str) -> bool:
    """Return whether there is surely nothing in a JSON text that cannot be held."""
    levels = text.count("{") + text.count("[")
    return levels <= MAX_LEVELS and "\\u0000" not in text and (text.isascii() or is_storable(text))


def _cleaned(value: Any, level: int) -> Any:
    match value:
        case str():
            return storable_text(value)
        case int() | float():
            return value if _is_number(value) else None
        case dict() | list() | tuple() if level >= MAX_LEVELS:
            return TOO_DEEP
        case dict():
            return _cleaned_members(value, level + 1)
        case list() | tuple():
            return [_cleaned(member, level + 1) for member in value]
        case _:
            return value


def _is_number(value: float) -> bool:
    return value.bit_length() <= _MOST_BITS if isinstance(value, int) else math.isfinite(value)


def _cleaned_members(members: dict[Any, Any], level: int) -> dict[str, Any]:
    """Return the members under keys that can be held; two that become the same are numbered."""
    found: dict[str, Any] = {}
    for key, member in members.items():
        clean = storable_text(str(key))
        while clean in found:
            clean += DAMAGED
        found[clean] = _cleaned(member, level)
    return found


# --- keys and column names that say that a value is a secret ---------------------------------------------------------

#: Words that name a secret of a card, alone or with a number: `PIN`, `puk 2`, `ADM1`, `sim_pin`, `Ki (hex)`.
_OF_A_CARD = re.compile(r"((pin|puk|chv|adm)s?[0-9]*)+(codes?|keys?)?[0-9]*|(ki|opc|topc|kic|kid|kik)[0-9]*")
#: Beside these words it is only told how a PIN stands, not what it is.
_ABOUT_IT = frozenset(
    (
        *("status", "state", "enabled", "disabled", "required", "locked", "blocked", "lock", "verified", "active"),
        *("retries", "tries", "attempts", "counter", "count", "remaining", "left", "type", "length", "changed", "at"),
    )
)
_OF_A_LOGIN = re.compile(
    r"passw|passphrase|passcode|secret|(private|api|auth|authentication|access|encryption|transport)_?key"
    r"|(^|_)(ota|op|k4)_?key|authorization|(^|_)token$|credential|confirmation_?code"
)
_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_LETTERS = re.compile(r"[^0-9a-z]+")


def is_secret_key(key: str) -> bool:
    """Return whether a key names something that must not be stored: `pin`, `puk2`, `arcClientPeerPrivateKey`, `Ki`."""
    words = _words(key)
    if _OF_A_LOGIN.search("_".join(words)):
        return True
    return any(map(_OF_A_CARD.fullmatch, words)) and _ABOUT_IT.isdisjoint(words)


def without_secrets(value: Any) -> Any:
    """Return a JSON value without the members whose keys name a secret, at any depth."""
    match value:
        case Mapping():
            return {key: without_secrets(member) for key, member in value.items() if not is_secret_key(str(key))}
        case list():
            return [without_secrets(member) for member in value]
        case _:
            return value


def _words(key: str) -> list[str]:
    plain = key if key.isascii() else unicodedata.normalize("NFKC", key)
    return [word for word in _NO_LETTERS.split(_CASE.sub("_", plain).lower()) if word]
