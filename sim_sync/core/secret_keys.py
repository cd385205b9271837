"""Which keys and column names say that a value is a secret: it is never stored, whoever's list it stands in.

A SIM's own secrets are its PINs and PUKs and the keys of its card: Ki and OPc (3GPP TS 33.102), ADM1, the keys KIC, KID
and KIK of messages over the air (ETSI TS 102 225). Beside them stand logins of every kind.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

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
