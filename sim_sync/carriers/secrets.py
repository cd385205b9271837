"""Keeps the secrets that are known out of what is printed, logged or stored. Unknown ones are found by their key: see
`core.secret_keys`.
"""

import base64
import json
import re
import threading
from collections import deque
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"

#: Shorter values are not searched for: they would hide ordinary words.
_SHORTEST = 4
#: A shorter value in a record counts only if it stands alone.
_WORD = 8
#: Finds nothing.
_NOTHING = re.compile(r"(?!)")
#: Of secrets that come with every page, that many are remembered: what is told is about the newest.
_PASSING = 16


class Redactor:
    """Replaces every configured secret, in any form in which it may come back, by `[hidden]`.

    `not_in_messages` are values that no message may show, and that may be stored: an account's name from the
    environment, for example.
    """

    def __init__(self, secrets: Iterable[str] = (), *, not_in_messages: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._forms: list[str] = []
        self._pattern = _NOTHING
        self._only_in_messages = _forms_of_all(not_in_messages)
        self._passing: deque[str] = deque(maxlen=_PASSING)
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Hide one more value from now on: a token that was just issued, for example."""
        with self._lock:
            self._forms = _longest_first({*self._forms, *_forms_of_all([secret])})
            self._pattern = re.compile("|".join(map(_pattern_of, self._forms)) or _NOTHING.pattern)

    def add_passing(self, secret: str) -> None:
        """Hide a value that is replaced with every page."""
        with self._lock:
            if len(secret) >= _SHORTEST and secret not in self._passing:
                self._passing.append(secret)

    def __call__(self, text: str) -> str:
        """Return a message without secrets."""
        for form in (*self._forms, *self._passing, *self._only_in_messages):
            text = text.replace(form, HIDDEN)
        return text

    def finds_one_in(self, text: str) -> bool:
        """Return whether a text holds a secret."""
        return any(form in text for form in (*self._forms, *self._passing))

    def may_be_in(self, text: str) -> bool:
        """Return whether `in_record` may change a text, or any of the texts that it is made of."""
        return any(form in text for form in self._forms)

    def in_record(self, text: str) -> str:
        """Return a text of a record without the account's secrets.

        Digits within other digits are none, and neither are a few letters within a word: an ICCID may hold any PIN.
        """
        return self._pattern.sub(HIDDEN, text)


def _forms_of_all(secrets: Iterable[str]) -> list[str]:
    texts = {text for secret in secrets for text in (secret, secret.strip()) if len(text) >= _SHORTEST}
    return _longest_first({form for text in texts for form in _forms_of(text)})


def _longest_first(forms: Iterable[str]) -> list[str]:
    """Return forms in the order in which they are looked for: one may be a part of another."""
    return sorted(forms, key=len, reverse=True)


def _pattern_of(form: str) -> str:
    if form.isdigit():
        return rf"(?<![0-9]){form}(?![0-9])"
    return rf"(?<!\w){re.escape(form)}(?!\w)" if len(form) < _WORD else re.escape(form)


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
