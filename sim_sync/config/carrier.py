"""One carrier's part of `carriers.yaml`: checked against its connector, and turned into what a sync needs of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, WithJsonSchema

from sim_sync.carriers.registry import connector_of, connector_problems, connectors
from sim_sync.carriers.settings import CarrierSettings, LinkRule, RateLimit, Retry, Settings, Timeouts, is_loopback
from sim_sync.config.environment import KeyPath, Resolved, key_text, resolve
from sim_sync.config.problems import read_part, reader_of
from sim_sync.core.clocks import DEFAULT_MAX_AGE_HOURS
from sim_sync.core.errors import ConfigError, Problem
from sim_sync.core.liveness import LONGEST_LEASE_SECONDS
from sim_sync.core.sims import Lifecycle, StatusMeaning
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import QuarantineLimit

if TYPE_CHECKING:
    from sim_sync.carriers.connector import Connector
    from sim_sync.carriers.shared_limits import SharedLimits
    from sim_sync.carriers.source import RestCarrier
    from sim_sync.core.ports import CarrierSource, Waiter
    from sim_sync.core.quarantine import Reread

_SWEEP = SweepPolicy()
_QUARANTINE = QuarantineLimit()


def _meaning(value: Any) -> Any:
    """Take `active` for `{status: active}`."""
    return {"status": value} if isinstance(value, str) else value


_LIFECYCLE = {"enum": list(Lifecycle)}
_MEANING_SCHEMA = {
    "anyOf": [
        _LIFECYCLE,
        {
            "type": "object",
            "properties": {"status": _LIFECYCLE, "pending": {"type": "boolean"}},
            "required": ["status"],
            "additionalProperties": False,
        },
    ]
}
Meaning: TypeAlias = Annotated[StatusMeaning, BeforeValidator(_meaning), WithJsonSchema(_MEANING_SCHEMA)]
Percent = Annotated[float, Field(ge=0, le=100)]


class Sweep(Settings):
    """When SIMs that a walk did not see are held instead of marked, and how many of them are asked for one by one."""

    max_vanished_percent: Percent = _SWEEP.max_vanished_percent
    min_vanished_count: Annotated[int, Field(ge=0)] = _SWEEP.min_vanished_count
    total_tolerance_percent: Percent = _SWEEP.total_tolerance_percent
    lookup_limit: Annotated[int, Field(ge=0, le=1_000_000)] = _SWEEP.lookup_limit


class Quarantine(Settings):
    """How many records may be unreadable."""

    max_percent: Percent = _QUARANTINE.max_percent


class RunBudget(Settings):
    """How much one run may do before it lets the next continue; null is no limit."""

    minutes: Annotated[float, Field(gt=0)] | None = None
    pages: Annotated[int, Field(ge=1)] | None = None


#: How long an owner is presumed alive after its last word.
DEFAULT_LEASE_SECONDS = 30.0


class CarrierSection(Settings):
    """The keys that every carrier may have; `options` and further keys are the connector's."""

    type: str
    base_url: str | None = None
    allow_insecure: bool = False
    links: LinkRule = LinkRule.SAME_ORIGIN
    page_size: Annotated[int, Field(ge=1)] | None = None
    max_page_size: Annotated[int, Field(ge=1)] | None = None
    statuses: Mapping[str, Meaning] = Field(default_factory=dict)
    read_ahead: Annotated[int, Field(ge=0, le=64)] = 1
    rate_limit: RateLimit = RateLimit.model_construct()
    timeouts: Timeouts = Timeouts.model_construct()
    retry: Retry = Retry.model_construct()
    sweep: Sweep = Sweep.model_construct()
    quarantine: Quarantine = Quarantine.model_construct()
    run_budget: RunBudget = RunBudget.model_construct()
    max_session_age_hours: Annotated[float, Field(gt=0)] = 24.0
    max_age_hours: Annotated[float, Field(gt=0)] = DEFAULT_MAX_AGE_HOURS
    max_pages_per_walk: Annotated[int, Field(ge=1)] = 1_000_000
    max_idle_pages: Annotated[int, Field(ge=1)] = 100
    lease_seconds: Annotated[float, Field(ge=1, le=LONGEST_LEASE_SECONDS)] = DEFAULT_LEASE_SECONDS


_COMMON_KEYS = frozenset(CarrierSection.model_fields) | {"auth", "options"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierConfig:
    """A carrier that can be synced: its connector, its account, and what its sessions are bound by."""

    connector: "Connector" = field(repr=False)
    settings: CarrierSettings
    sweep: SweepPolicy
    quarantine: QuarantineLimit
    run_budget: RunBudget
    max_session_age_hours: float
    max_age_hours: float
    max_pages_per_walk: int
    max_idle_pages: int
    lease_seconds: float
    #: Where limits are kept that hosts share; None keeps them in this host's file.
    warehouse_url: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The carrier's name, its partition key."""
        return self.settings.name

    @property
    def retry(self) -> Retry:
        """How transient failures are ridden out."""
        return self.settings.retry

    def build(self, waiter: "Waiter") -> "CarrierSource":
        """Return the carrier, ready to be asked; its waits go through `waiter`."""
        return self._built(waiter)

    def rereader(self, waiter: "Waiter") -> Callable[[str], "Reread"]:
        """Return what reads a record of the quarantine with today's mapping; the carrier is not asked."""
        return self._built(waiter).reread

    def _built(self, waiter: "Waiter") -> "RestCarrier":
        # Here, because who only reads the config asks no carrier: the HTTP client is half of what importing it cost.
        from sim_sync.carriers.source import RestCarrier

        return RestCarrier(self.connector, self.settings, waiter, shared_limits=self._shared_limits(waiter))

    def _shared_limits(self, waiter: "Waiter") -> "SharedLimits | None":
        if self.settings.rate_limit.shared_key is None or self.warehouse_url is None:
            return None
        from sim_sync.warehouse.shared_limits import shared_limits  # here, because few carriers share one

        return shared_limits(self.warehouse_url, waiter)


def parse_carrier(name: str, raw: Any, environ: Mapping[str, str], where: str) -> CarrierConfig:
    """Return a carrier's configuration.

    Raises:
        ConfigError: with everything that is wrong with it.
    """
    at: KeyPath = ("carriers", name)
    if not isinstance(raw, Mapping):
        raise ConfigError([Problem(where, key_text(at), "keys such as type, auth and base_url", "something else")])
    return _Parser(name, at, resolve(raw, at, environ, where), where).carrier()


class _Parser:
    """Reads one carrier's section part by part, collecting what is wrong."""

    def __init__(self, name: str, at: KeyPath, part: Resolved, where: str) -> None:
        self._name = name
        self._at = at
        self._part = part
        self._where = where
        self._problems = list(part.problems)

    def carrier(self) -> CarrierConfig:
        connector = self._connector()
        section = self._section(connector)
        auth = self._auth(connector)
        options = self._options(connector)
        base_url = self._base_url(connector, section)
        page_size = self._page_size(connector, section)
        if self._problems or connector is None or section is None:
            raise ConfigError(self._problems)
        settings = CarrierSettings(
            name=self._name,
            base_url=base_url,
            page_size=page_size,
            auth=auth,
            options=options,
            statuses=section.statuses,
            read_ahead=section.read_ahead,
            rate_limit=section.rate_limit,
            timeouts=section.timeouts,
            links=section.links,
            retry=section.retry,
            from_variables=self._part.values(self._at),
        )
        return CarrierConfig(
            connector=connector,
            settings=settings,
            sweep=SweepPolicy(**section.sweep.model_dump(), repeats_by_design=connector.pages_overlap),
            quarantine=QuarantineLimit(max_percent=section.quarantine.max_percent),
            run_budget=section.run_budget,
            max_session_age_hours=section.max_session_age_hours,
            max_age_hours=section.max_age_hours,
            max_pages_per_walk=section.max_pages_per_walk,
            max_idle_pages=section.max_idle_pages,
            lease_seconds=section.lease_seconds,
        )

    def _connector(self) -> "Connector | None":
        found = self._part.value.get("type")
        connector = connector_of(found) if isinstance(found, str) else None
        if connector is None:
            known = connectors()
            shown = "nothing" if found is None else connector_problems().get(str(found), self._shown("type", found))
            self._complain("type", f"one of {', '.join(sorted(known))}", shown)
        return connector

    def _section(self, connector: "Connector | None") -> CarrierSection | None:
        value = {key: member for key, member in self._part.value.items() if key in CarrierSection.model_fields}
        if connector is None:
            value["type"] = ""  # complained about already
        elif isinstance(value.get("rate_limit"), Mapping):
            # The vendor's published limits hold where the file does not say otherwise.
            value["rate_limit"] = connector.rate_limit.model_dump() | dict(value["rate_limit"])
        elif "rate_limit" not in value:
            value["rate_limit"] = connector.rate_limit
        section: CarrierSection | None = self._read(CarrierSection.model_validate, value, self._at)
        return section

    def _auth(self, connector: "Connector | None") -> Any:
        if connector is None:
            return None
        keys = getattr(connector.auth_model, "model_fields", {})
        value = self._part.value.get("auth") or {}
        if isinstance(value, Mapping):
            options = self._options_under_auth(connector)
            value = {key: member for key, member in value.items() if key not in options}
        return self._read(reader_of(connector.auth_model), value, (*self._at, "auth"), known_keys=keys)

    def _options(self, connector: "Connector | None") -> Any:
        if connector is None:
            return None
        nested = self._part.value.get("options") or {}
        if not isinstance(nested, Mapping):
            self._complain("options", "keys and values", "something else")
            nested = {}
        own = {key: member for key, member in self._part.value.items() if key not in _COMMON_KEYS}
        value = self._options_under_auth(connector) | dict(nested) | own
        known = _COMMON_KEYS | set(connector.options_model.model_fields)
        return self._read(connector.options_model.model_validate, value, self._at, known_keys=known)

    def _options_under_auth(self, connector: "Connector") -> dict[str, Any]:
        """Return options that stand under `auth`: people put an account's name beside its credentials."""
        auth = self._part.value.get("auth")
        if not isinstance(auth, Mapping):
            return {}
        theirs = set(connector.options_model.model_fields) - set(getattr(connector.auth_model, "model_fields", {}))
        return {key: member for key, member in auth.items() if key in theirs}

    def _base_url(self, connector: "Connector | None", section: CarrierSection | None) -> str:
        if connector is None or section is None:
            return ""
        url = section.base_url or connector.base_url
        if url is None:
            self._complain("base_url", "the URL of your account's API host", "nothing")
            return ""
        if problem := base_url_problem(url, allow_insecure=section.allow_insecure):
            self._complain("base_url", problem, "a URL of another form" if "@" in url else self._shown("base_url", url))
        return url.rstrip("/")

    def _page_size(self, connector: "Connector | None", section: CarrierSection | None) -> int:
        if connector is None or section is None:
            return 0
        largest = section.max_page_size or connector.max_page_size
        page_size = section.page_size or min(connector.page_size, largest or connector.page_size)
        if largest is not None and page_size > largest:
            self._complain(
                "page_size",
                f"at most {largest}, the largest page of {connector.type} (max_page_size overrides it)",
                self._shown("page_size", page_size),
            )
        return page_size

    def _read(self, read: Any, value: Any, at: KeyPath, *, known_keys: Any = ()) -> Any:
        part = Resolved(value, self._part.from_variables)
        found, problems = read_part(read, part, at, self._where, known_keys=known_keys)
        # Options that stand under `auth` are read at another place than that where their variables are known.
        self._problems.extend(self._without_values(problem) for problem in problems)
        return found

    def _without_values(self, problem: Problem) -> Problem:
        expected, found = (self._part.without_values(text, self._at) for text in (problem.expected, problem.found))
        return replace(problem, expected=expected, found=found)

    def _shown(self, key: str, value: Any) -> str:
        variable = self._part.variable_at((*self._at, key))
        return repr(value) if variable is None else f"the value of the environment variable {variable}"

    def _complain(self, key: str, expected: str, found: str) -> None:
        self._problems.append(Problem(self._where, key_text((*self._at, key)), expected, found))


def base_url_problem(url: str, *, allow_insecure: bool) -> str | None:
    """Return what a carrier's `base_url` is expected to be where this is none; None where it is one."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "a URL such as https://api.example.com"
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or parts.username is not None:
        return "a URL such as https://api.example.com, without credentials, query or fragment"
    if parts.scheme == "http" and not allow_insecure and not is_loopback(host):
        return "https (http only for loopback, or with allow_insecure: true)"
    return None
