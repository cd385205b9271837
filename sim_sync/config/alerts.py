"""The section `alerts` of `carriers.yaml`: what people want to hear of, and by which receivers."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr, model_validator

from sim_sync.carriers.settings import Settings, Shaped, is_loopback
from sim_sync.config.environment import KeyPath, resolve
from sim_sync.config.problems import read_part
from sim_sync.core.alerts import DEFAULT_THRESHOLDS, AlertKind
from sim_sync.core.errors import ConfigError

_PLACE: KeyPath = ("alerts",)
_EXPECTED_CONDITION = f"one of {', '.join(AlertKind)}, or such a word with its threshold, as findings_over: 100"
_LEAST_MINUTES, _MOST = 1.0, 1e9
_RECEIVER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$"
_MOST_RECEIVERS = 10


class Condition(NamedTuple):
    """Something that people want to hear of; `threshold` is 0 for a kind that has none."""

    kind: AlertKind
    threshold: float = 0.0


def _parse_condition(value: Any) -> Condition:
    word, threshold = value, None
    if isinstance(value, Mapping) and len(value) == 1:
        ((word, threshold),) = value.items()
    if not isinstance(word, str) or word not in list(AlertKind) or isinstance(value, list):
        raise ValueError(_EXPECTED_CONDITION)
    kind = AlertKind(word)
    if not isinstance(value, Mapping):
        return Condition(kind, DEFAULT_THRESHOLDS.get(kind, 0.0))
    if kind not in DEFAULT_THRESHOLDS:
        raise ValueError(f"{kind} without a threshold")
    return Condition(kind, _threshold(kind, threshold))


def _threshold(kind: AlertKind, given: Any) -> float:
    try:
        number = -1.0 if isinstance(given, bool) else float(given)  # a variable of the environment is a text
    except (TypeError, ValueError):
        number = -1.0
    if kind is AlertKind.PARKED_OVER_MINUTES:
        if not _LEAST_MINUTES <= number <= _MOST:
            raise ValueError(f"a number of minutes, at least {_LEAST_MINUTES:g}, after {kind}")
    elif not (0 <= number <= _MOST and number == int(number)):
        raise ValueError(f"a whole number that is not negative after {kind}")
    return number


def _as_list(value: Any) -> Any:
    """Take one receiver for a list of one."""
    return [value] if isinstance(value, Mapping) else value


def _parse_url(secret: SecretStr) -> SecretStr:
    """Accept https, or http on loopback: the address of a webhook is a password. No message shows it."""
    try:
        parts = urlsplit(secret.get_secret_value())
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if not host or parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        raise ValueError("a URL such as https://hooks.example.com/services/T00/B00, without a user in it")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("https, because whoever knows the URL can write there (http only for loopback)")
    return secret


def _parse_address(text: str) -> str:
    name, at, host = text.rpartition("@")
    if not (at and name and host and text.isascii() and text.isprintable() and not set(text) & set(' <>,;:"()[]\\')):
        raise ValueError("a plain mail address such as oncall@example.com")
    return text


_Address: TypeAlias = Annotated[str, AfterValidator(_parse_address)]


def _as_texts(value: Any) -> Any:
    """Take one address for a list of one."""
    return [value] if isinstance(value, str) else value


def _parse_recipients(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if not addresses:
        raise ValueError("at least one mail address")
    return addresses


class Receiver(Settings):
    """Who is told: by default of all that `alerts.on` names."""

    name: (
        Annotated[str, Shaped(_RECEIVER_NAME, "a name of letters, digits, dots, dashes and underscores, at most 50")]
        | None
    ) = None
    kinds: tuple[AlertKind, ...] | None = None


class Webhook(Receiver):
    """A receiver over HTTP: our own JSON, or what Slack and those who understand it take."""

    url: Annotated[SecretStr, AfterValidator(_parse_url)]
    secret: Annotated[SecretStr, Field(min_length=8)] | None = None
    format: Literal["generic", "slack"] = "generic"


class Smtp(Receiver):
    """A receiver by mail."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    #: STARTTLS after the greeting, or TLS from the first byte.
    starttls: bool = True
    tls: bool = False
    user: str | None = None
    password: SecretStr | None = None
    sender: Annotated[_Address, Field(alias="from")]
    to: Annotated[
        tuple[_Address, ...],
        AfterValidator(_parse_recipients),
        BeforeValidator(_as_texts, json_schema_input_type=str | list[str]),
    ]

    @model_validator(mode="after")
    def _check_login(self) -> "Smtp":
        if (self.user is None) != (self.password is None):
            raise ValueError("`user` and `password` together, or neither")
        if self.password is not None and not self.is_secured and not is_loopback(self.host):
            raise ValueError("`starttls` or `tls`, because a password is sent (neither only for loopback)")
        return self

    @property
    def is_secured(self) -> bool:
        """Whether mail leaves over TLS or not at all."""
        return self.tls or self.starttls


class Alerts(Settings):
    """What people want to hear of, and who does."""

    on: tuple[
        Annotated[
            Condition, PlainValidator(_parse_condition, json_schema_input_type=AlertKind | dict[AlertKind, float])
        ],
        ...,
    ] = tuple(Condition(kind, DEFAULT_THRESHOLDS.get(kind, 0.0)) for kind in AlertKind)
    webhook: Annotated[
        tuple[Webhook, ...],
        Field(max_length=_MOST_RECEIVERS),
        BeforeValidator(_as_list, json_schema_input_type=Webhook | list[Webhook]),
    ] = ()
    smtp: Annotated[
        tuple[Smtp, ...],
        Field(max_length=_MOST_RECEIVERS),
        BeforeValidator(_as_list, json_schema_input_type=Smtp | list[Smtp]),
    ] = ()

    @property
    def watched(self) -> Mapping[AlertKind, float]:
        """The kinds that are watched, with their thresholds."""
        return dict(self.on)

    def named(self) -> Mapping[str, Webhook | Smtp]:
        """Return the receivers by their names: their own, or else `webhook`, `webhook-2`, `smtp`."""
        found: dict[str, Webhook | Smtp] = {}
        for number, webhook in enumerate(self.webhook, start=1):
            found[webhook.name or _numbered("webhook", number)] = webhook
        for number, smtp in enumerate(self.smtp, start=1):
            found[smtp.name or _numbered("smtp", number)] = smtp
        return found

    @model_validator(mode="after")
    def _check_names(self) -> "Alerts":
        if len(self.named()) < len(self.webhook) + len(self.smtp):
            raise ValueError("receivers with different names")
        if len(self.watched) < len(self.on):
            raise ValueError("each kind once in `on`")
        return self

    def receivers_of(self, kind: str) -> list[str]:
        """Return the names of those who want to hear of a kind."""
        return [name for name, one in self.named().items() if one.kinds is None or kind in one.kinds]


def _numbered(word: str, number: int) -> str:
    return word if number == 1 else f"{word}-{number}"


def parse_alerts(raw: Any, environ: Mapping[str, str], where: str) -> Alerts:
    """Return the section of a file; `where` names that.

    Raises:
        ConfigError: it has problems; all of them are listed.
    """
    part = resolve(raw, _PLACE, environ, where)
    found, problems = read_part(Alerts.model_validate, part, _PLACE, where, known_keys=Alerts.model_fields)
    if found is None or part.problems or problems:
        raise ConfigError([*part.problems, *problems])
    return found
