"""Keeps secrets out of what is printed, logged or stored: known values by value, others by their key."""

import base64
import json
import re
import threading
from collections import deque
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
#: Of secrets that come with every page, so many are remembered: what is told is about the newest.
_PASSING = 16


class Redactor:
    """Replaces every configured secret, in any form in which it may come back, by `[hidden]`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._forms: list[str] = []
        self._passing: deque[str] = deque(maxlen=_PASSING)
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Hide one more value from now on: a token that was just issued, for example."""
        forms = {form for text in (secret, secret.strip()) if len(text) >= _SHORTEST for form in _forms_of(text)}
        with self._lock:
            # The longest first: one form may be a part of another.
            self._forms = sorted({*self._forms, *forms}, key=len, reverse=True)

    def add_passing(self, secret: str) -> None:
        """Hide a value that is replaced with every page."""
        with self._lock:
            if len(secret) >= _SHORTEST and secret not in self._passing:
                self._passing.append(secret)

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        for form in (*self._forms, *self._passing):
            text = text.replace(form, HIDDEN)
        return text


def _forms_of(secret: str) -> set[str]:
    """Return a secret as it stands in texts, URLs, HTTP Basic, JSON and Python's quotes."""
    # A variable of the environment may hold bytes that are no UTF-8: Python keeps them as lone surrogates.
    raw = secret.encode("utf-8", "surrogateescape")
    encoded = base64.b64encode(raw).decode()
    return {
        secret,
        quote(raw, safe=""),
        quote_plus(raw),
        encoded,
        encoded.rstrip("="),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }


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
