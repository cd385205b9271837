"""The settings of one account at a carrier, as `carriers.yaml` gives them. Vendors' limits move, so all are here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SecretStr,
)
from pydantic_core.core_schema import CoreSchema, no_info_after_validator_function

from sim_sync.core.backoff import LONGEST_OUTAGE_WAIT_SECONDS
from sim_sync.core.sims import StatusMeaning

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class LinkRule(StrEnum):
    """What is taken of a link that a carrier hands out. No request ever goes to another origin than the configured."""

    #: One that names another origin is refused: it may be another API's. `http` for `https` of one host is no other.
    SAME_ORIGIN = "same_origin"
    #: Path and query alone: the carrier is behind a proxy, and its links name what it is called inside.
    PATH_ONLY = "path_only"


class Unfit(ValueError):
    """A value of the configuration that cannot be used: what was expected, and details that may quote the value."""

    def __init__(self, expected: str, details: str) -> None:
        super().__init__(f"{expected}{details}")
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Shaped:
    """Marks a text of the configuration that has a pattern, which its JSON Schema shows; people are told the words."""

    pattern: str
    expected: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._shaped, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern}

    def _shaped(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            raise Unfit(self.expected, "")
        return text


def with_a_type(*names: str) -> BeforeValidator:
    """Return what refuses a declaration without one of these types, in words that tell which there are."""

    def refuse_others(value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("type") not in names:
            found = value.get("type")
            shown = f", not {found}" if isinstance(found, str) else ""
            raise Unfit(f"a type: {', '.join(names[:-1])} or {names[-1]}", shown)
        return value

    return BeforeValidator(refuse_others)


#: A path below the origin, as the kinds of calls that are declared have it.
CallPath: TypeAlias = Annotated[str, Shaped(r"^/[^?#]*$", "a path that begins with /, without ? and #")]


class Settings(BaseModel):
    """A part of the configuration: unknown keys are refused, values never change."""

    # Built when first used: of the connectors' models, a config needs one or two.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class RateLimit(Settings):
    """How fast a carrier may be asked; None is no limit of ours."""

    requests_per_second: Annotated[float, Field(gt=0, le=10_000)] | None = None
    burst: Annotated[int, Field(ge=1, le=10_000)] | None = None
    max_in_flight: Annotated[int, Field(ge=1, le=64)] = 1
    #: Accounts with the same key share one limit, also across processes.
    shared_key: str | None = None


class Timeouts(Settings):
    """How long one request may take to connect, and how long the carrier may be silent."""

    connect_seconds: Seconds = 5.0
    read_seconds: Seconds = 30.0


class Retry(Settings):
    """How transient failures are ridden out: `min(base * 2**attempt, ceiling) + random() * base` between attempts."""

    base_seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0
    ceiling_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 8
    #: A longer wait than this frees the worker.
    park_after_seconds: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    #: No wait that the carrier names is longer: it is tried again by then at the latest.
    max_wait_seconds: Annotated[float, Field(gt=0, le=2_678_400)] = 86_400.0
    #: So many resumes in a row without one committed page, and the session is given up.
    max_stalled_resumes: Annotated[int, Field(ge=1, le=1000)] = 5

    @property
    def longest_wait_seconds(self) -> float:
        """No session is parked for longer, but for a quota: a wait that the carrier names, or an outage with jitter."""
        outage = 2 * max(self.ceiling_seconds, LONGEST_OUTAGE_WAIT_SECONDS) + self.base_seconds
        return max(self.max_wait_seconds, outage)


class Credentials(Settings):
    """The keys of `auth`. What is secret is a `SecretStr`; everything else tells one account from another."""

    #: Keys that say where to log in.
    PLACES: ClassVar[frozenset[str]] = frozenset({"token_url"})

    def secrets(self) -> Sequence[str]:
        """Return every secret value, for the redactor."""
        return [value.get_secret_value() for _, value in self if isinstance(value, SecretStr)]

    def keys_to_check(self) -> Sequence[str]:
        """Return the keys that may be wrong where a login is refused, in the order of the model."""
        return [name for name, value in self if value is not None and name not in {*self.PLACES, "type"}]

    def identity(self) -> Mapping[str, str]:
        """Return what names the account and is not a secret; where a login is sent names no account."""
        return {
            name: str(value)
            for name, value in self
            if value is not None and not isinstance(value, SecretStr) and name not in self.PLACES
        }


class Options(Settings):
    """Keys of a carrier that only its connector knows; most have none.

    One that says nothing about which SIMs are listed in which order is a field with `exclude=True`: a cursor means the
    same without it.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierSettings:
    """All that a connector gets to know about an account.

    `read_ahead` is how many pages may be asked for before the one in hand is committed.
    `auth` and `options` are of the connector's own models; `statuses` replaces or adds status words. `from_variables`
    are the values that came from the environment, by their places below the account: no message may show them.
    """

    name: str
    base_url: str
    page_size: int
    auth: Any = field(repr=False)
    options: Any = field(default_factory=Options)
    statuses: Mapping[str, StatusMeaning] = field(default_factory=dict)
    read_ahead: int = 1
    rate_limit: RateLimit = field(default_factory=RateLimit)
    timeouts: Timeouts = field(default_factory=Timeouts)
    links: LinkRule = LinkRule.SAME_ORIGIN
    retry: Retry = field(default_factory=Retry)
    from_variables: Mapping[tuple[str | int, ...], str] = field(default_factory=dict, repr=False)


def _login_url(text: str) -> str:
    """Accept a path on `base_url`, an https URL, or an http URL on loopback: credentials are sent there."""
    if text.startswith("/") and not text.startswith("//"):
        return text
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if not host or parts.username is not None or parts.scheme not in {"http", "https"}:
        raise ValueError("a path on base_url, or a URL such as https://login.example.com/token")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("https, because credentials are sent there (http only for loopback)")
    return text


def is_loopback(host: str) -> bool:
    """Return whether a host name is this machine's own, by its form alone: nothing is resolved."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


#: A path on `base_url`, or a URL of its own.
LoginUrl = Annotated[str, AfterValidator(_login_url)]
