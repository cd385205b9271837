"""Keeps credentials out of stored cursors: what looks like one is sealed, so that only its own account can open it.

A carrier may put a token into the link of its next page, and that page may need it. A cursor is stored and shown, so
the token stands in it enciphered, under a key that is derived from the account's own secrets and stored nowhere.

The cipher is deterministic, so that equal cursors stay equal: a synthetic initialisation vector (the construction of
RFC 5297) over HMAC-SHA256, which authenticates the text and is the keystream's nonce. The key comes from scrypt,
because a password may be guessed.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from urllib.parse import unquote_plus

from sim_sync.carriers.secrets import Redactor
from sim_sync.core.errors import CursorRejected
from sim_sync.core.pages import Cursor, JsonValue
from sim_sync.core.secret_keys import is_secret_key

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
        return {name: self._each_text(name, value, self._sealed_text) for name, value in cursor.items()}

    def opened(self, cursor: Cursor) -> Cursor:
        """Return the cursor as the carrier needs it.

        Raises:
            CursorRejected: it was sealed under another key: the account's secrets were changed.
        """
        return {name: self._each_text(name, value, self._opened_text) for name, value in cursor.items()}

    def _each_text(self, name: str, value: JsonValue, change: Callable[[str, str], str]) -> JsonValue:
        return change(name, value) if isinstance(value, str) else value

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
