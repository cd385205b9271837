"""Keeps the account's own secrets out of what is printed, logged or stored: messages, records and cursors.

`Redactor` knows them by their value; unknown ones are found by their key: see `core.storable`. A carrier may echo
them in any field of a record; members whose keys name a secret are gone before (`records`).

It may also put a token into the link of its next page, and that page may need it. A cursor is stored and shown, so the
token stands in it enciphered, under a key that is derived from the account's own secrets and stored nowhere. The cipher
is deterministic, so that equal cursors stay equal: a synthetic initialisation vector (the construction of RFC 5297)
over HMAC-SHA256, which authenticates the text and is the keystream's nonce. The key comes from scrypt, because a
password may be guessed.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

from sim_sync.core.errors import CursorRejected
from sim_sync.core.pages import Cursor, Page, QuarantinedRecord
from sim_sync.core.sims import Sim
from sim_sync.core.storable import is_secret_key, storable_json

# --- in texts --------------------------------------------------------------------------------------------------------

HIDDEN = "[hidden]"

#: Shorter values are not searched for: they would hide ordinary words.
_SHORTEST = 4
#: A shorter value in a record counts only if it stands alone.
_WORD = 8
#: Finds nothing.
_NOTHING = re.compile(r"(?!)")
#: What a value that is no text, or several together, may read as.
_AS_JSON = re.compile(r"""[0-9e+\-.,:()/\s\[\]{}]+|true|false|null|.*["\\].*""", re.IGNORECASE | re.DOTALL)
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
        self._encoded_forms: list[bytes] = []
        self._may_be_json = False
        self._pattern = _NOTHING
        self._only_in_messages = _forms_of_all(not_in_messages)
        # Replaced as a whole: other threads look through it meanwhile.
        self._passing: tuple[str, ...] = ()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Hide one more value from now on: a token that was just issued, for example."""
        with self._lock:
            self._forms = _longest_first({*self._forms, *_forms_of_all([secret])})
            self._encoded_forms = [form.encode("utf-8", "surrogatepass") for form in self._forms]
            self._may_be_json = any(map(_AS_JSON.fullmatch, self._forms))
            self._pattern = re.compile("|".join(map(_pattern_of, self._forms)) or _NOTHING.pattern)

    def add_passing(self, secret: str) -> None:
        """Hide a value that is replaced with every page."""
        with self._lock:
            if len(secret) >= _SHORTEST and secret not in self._passing:
                self._passing = (*self._passing, secret)[-_PASSING:]

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

    def may_be_made_of(self, values: bytes) -> bool:
        """Return whether `in_record` may change a text that is made of values, which stand in there one by one.

        A secret that reads as a number or as other JSON may be found in a text, and not in any of its values.
        """
        return self._may_be_json or any(form in values for form in self._encoded_forms)

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


# --- in records ------------------------------------------------------------------------------------------------------

#: Fields that may hold a word of the carrier's, and how each of them is cleaned.
_JSON = frozenset({"attributes"})
TEXT_FIELDS = frozenset(Sim._fields) - {
    *_JSON,
    "status",
    "pending",
    "activated_at",
    "carrier_updated_at",
    "quality_flags",
}


def without_own_secrets(page: Page, redactor: Redactor) -> Page:
    """Return a page in which no record holds one of the account's secrets."""
    # One look at all texts together costs next to nothing, and almost always it is the only one.
    if not redactor.may_be_in("\n".join(_texts(page.sims, page.rejected))):
        return page
    return replace(
        page,
        sims=[_sim(sim, redactor) for sim in page.sims],
        rejected=[_rejected(one, redactor) for one in page.rejected],
    )


def _texts(sims: Sequence[Sim], rejected: Sequence[QuarantinedRecord]) -> list[str]:
    texts = [value for sim in sims for value in sim if isinstance(value, str)]
    return [*texts, *(text for one in rejected for text in (one.reason, one.payload))]


def _sim(sim: Sim, redactor: Redactor) -> Sim:
    def clean(name: str, value: Any) -> Any:
        if value is None or name not in TEXT_FIELDS | _JSON:
            return value
        return _json(value, redactor) if name in _JSON else redactor.in_record(value)

    return Sim._make(clean(name, value) for name, value in zip(Sim._fields, sim, strict=True))


def _rejected(one: QuarantinedRecord, redactor: Redactor) -> QuarantinedRecord:
    return replace(one, reason=redactor.in_record(one.reason), payload=_json(one.payload, redactor))


def _json(text: str, redactor: Redactor) -> str:
    return storable_json(_value(json.loads(text), redactor)) if redactor.may_be_in(text) else text


def _value(value: Any, redactor: Redactor) -> Any:
    match value:
        case str():
            return redactor.in_record(value)
        case int() | float():
            return HIDDEN if redactor.in_record(str(value)) == HIDDEN else value
        case dict():
            return {redactor.in_record(key): _value(member, redactor) for key, member in value.items()}
        case list():
            return [_value(member, redactor) for member in value]
        case _:
            return value


# --- in cursors ------------------------------------------------------------------------------------------------------

_MARK = "sealed.1."
_TAG_BYTES = 16
#: Names of query parameters that carry a credential, beside those that no record may keep (`secrets`).
_CREDENTIAL = re.compile(
    r"^(sig|signature|hmac|auth|jwt|sas|sid|session_?(id|key|token)?|access_?key(_?id)?|ticket|nonce)$"
    r"|_(signature|credential|security_token)$",
    re.IGNORECASE,
)
#: Names of parameters that are called tokens and are places in a list.
_PLACE = re.compile(
    r"^\$?(page|next(_?page)?|prev|cursor|continuation|skip|start(ing)?|sync|resume|scroll|list|after|before)_?token$",
    re.IGNORECASE,
)
_JWT = re.compile(r"eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]{5,}")


class CursorSeal:
    """Seals and opens the cursors of one account.

    Args:
        account: the carrier's name, so that accounts with one password have keys of their own.
        own_secrets: the account's secrets. Without any, the key is this process's own, and a cursor with a sealed part
            can be opened by no other one.
        redactor: hides what was sealed from every message.
    """

    def __init__(self, account: str, own_secrets: Sequence[str], redactor: Redactor) -> None:
        self._account = account
        self._own_secrets = own_secrets
        self._redactor = redactor

    def sealed(self, cursor: Cursor) -> Cursor:
        """Return the cursor as it may be stored."""
        return {
            name: self._sealed_text(name, value) if isinstance(value, str) else value for name, value in cursor.items()
        }

    def opened(self, cursor: Cursor) -> Cursor:
        """Return the cursor as the carrier needs it.

        Raises:
            CursorRejected: it was sealed under another key: the account's secrets were changed.
        """
        return {
            name: self._opened_text(name, value) if isinstance(value, str) else value for name, value in cursor.items()
        }

    def _sealed_text(self, name: str, text: str) -> str:
        path, mark, query = text.partition("?")
        if self._holds_secret(path) or path.startswith(_MARK):
            return self._seal(name, text)
        parameters = query.split("&") if mark else []
        return path + mark + "&".join(self._sealed_parameter(parameter) for parameter in parameters)

    def _sealed_parameter(self, parameter: str) -> str:
        name, mark, value = parameter.partition("=")
        plain_name = unquote_plus(name)
        is_credential = is_secret_key(plain_name) or _CREDENTIAL.search(_snake(plain_name)) is not None
        if value and ((is_credential and not _PLACE.match(_snake(plain_name))) or self._holds_secret(value)):
            return f"{name}{mark}{self._seal(plain_name, value)}"
        return f"{name}{mark}{self._seal(plain_name, value)}" if value.startswith(_MARK) else parameter

    def _holds_secret(self, text: str) -> bool:
        plain = unquote_plus(text)
        return any(map(self._redactor.finds_one_in, (text, plain))) or _JWT.search(plain) is not None

    def _opened_text(self, name: str, text: str) -> str:
        if text.startswith(_MARK):
            return self._open(name, text)
        path, mark, query = text.partition("?")
        parameters = query.split("&") if mark else []
        return path + mark + "&".join(self._opened_parameter(parameter) for parameter in parameters)

    def _opened_parameter(self, parameter: str) -> str:
        name, mark, value = parameter.partition("=")
        opened = self._open(unquote_plus(name), value) if value.startswith(_MARK) else value
        return f"{name}{mark}{opened}"

    def _seal(self, name: str, text: str) -> str:
        self._hide(text)
        content = text.encode("utf-8", "surrogatepass")
        tag = self._tag(name, content)
        return _MARK + base64.urlsafe_b64encode(tag + self._ciphered(tag, content)).decode().rstrip("=")

    def _open(self, name: str, text: str) -> str:
        encoded = text.removeprefix(_MARK)
        try:
            raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError:
            raw = b""
        tag, content = raw[:_TAG_BYTES], self._ciphered(raw[:_TAG_BYTES], raw[_TAG_BYTES:])
        if not hmac.compare_digest(tag, self._tag(name, content)):
            raise CursorRejected(
                f"carrier {self._account}: a part of the cursor was sealed under other secrets than the account has "
                "now, and can no longer be opened"
            )
        opened = content.decode("utf-8", "surrogatepass")
        self._hide(opened)
        return opened

    def _hide(self, text: str) -> None:
        self._redactor.add_passing(text)
        self._redactor.add_passing(unquote_plus(text))

    def _tag(self, name: str, content: bytes) -> bytes:
        authenticated = name.encode() + b"\0" + content
        return hmac.digest(self._keys[0], authenticated, hashlib.sha256)[:_TAG_BYTES]

    def _ciphered(self, tag: bytes, content: bytes) -> bytes:
        return bytes(one ^ other for one, other in zip(content, self._keystream(tag), strict=False))

    def _keystream(self, tag: bytes) -> Iterator[int]:
        number = 0
        while True:
            yield from hmac.digest(self._keys[1], tag + number.to_bytes(8), hashlib.sha256)
            number += 1

    @cached_property
    def _keys(self) -> tuple[bytes, bytes]:
        secret = "\0".join(self._own_secrets).encode("utf-8", "surrogateescape") or secrets.token_bytes(32)
        key = hashlib.scrypt(secret, salt=f"sim_sync cursor of {self._account}".encode(), n=2**14, r=8, p=1, dklen=64)
        return key[:32], key[32:]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_")
