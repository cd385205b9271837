"""Keeps secrets out of what is printed, logged or stored: known values by value, others by their key."""

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"

#: Keys whose values are never stored, at any depth of a record.
_SECRET_KEY = re.compile(
    r"^(pin|puk)_?\d*$|^pin_puk|passw|secret|private_?key|api_?key|auth_?key|authorization|(^|_)token$|credential|^ki$|^opc$",
    re.IGNORECASE,
)
#: Shorter values are not searched for: they would hide ordinary words.
_SHORTEST = 4


class Redactor:
    """Replaces every configured secret, in any form in which it may come back, by `[hidden]`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: list[str] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Hide one more value from now on: a token that was just issued, for example."""
        if len(secret) < _SHORTEST:
            return
        encoded = base64.b64encode(secret.encode()).decode()
        forms = {secret, quote(secret, safe=""), quote_plus(secret), encoded, encoded.rstrip("=")}
        # The longest first: one form may be a part of another.
        self._forms = sorted({*self._forms, *forms}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text


def without_secrets(value: Any) -> Any:
    """Return a JSON value without the members whose keys name a secret, at any depth."""
    match value:
        case Mapping():
            return {key: without_secrets(member) for key, member in value.items() if not is_secret_key(str(key))}
        case list():
            return [without_secrets(member) for member in value]
        case _:
            return value


def is_secret_key(key: str) -> bool:
    """Return whether a key names something that must not be stored: `pin`, `puk2`, `arcClientPeerPrivateKey` ..."""
    return _SECRET_KEY.search(_snake(key)) is not None


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).replace("-", "_").lower()
