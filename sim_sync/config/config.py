"""The configuration as a whole. A carrier with problems of its own does not keep the others from being synced."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sim_sync.carriers.settings import Retry
from sim_sync.config.document import CARRIER_NAME, read_document
from sim_sync.config.environment import KeyPath, Resolved, key_text, resolve, variable_of
from sim_sync.config.export import Export
from sim_sync.config.our_list import QuietList, list_of, place_of
from sim_sync.config.problems import read_part, reader_of
from sim_sync.config.sections import Inventory, InventorySection, Reconcile, Retention, Schedule, WarehouseSection
from sim_sync.core.clocks import DEFAULT_MAX_AGE_HOURS
from sim_sync.core.errors import ConfigError, InputError, Problem

if TYPE_CHECKING:  # what reads a list is loaded where one is read
    from sim_sync.config.alerts import Alerts
    from sim_sync.config.carrier import CarrierConfig
    from sim_sync.inventory import OurList

CONFIG_VARIABLE = "SIM_SYNC_CONFIG"
WAREHOUSE_VARIABLE = "SIM_SYNC_WAREHOUSE_URL"
DEFAULT_PATH = Path("carriers.yaml")
DEFAULT_WAREHOUSE_URL = "sqlite:///.sim_sync/warehouse.db"

_SECTIONS = ("warehouse", "schedule", "inventory", "reconcile", "alerts", "retention", "export", "carriers")
_INVENTORY: KeyPath = ("inventory",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What `carriers.yaml` says. Its printed form holds no secret."""

    path: Path
    warehouse_url: str = field(repr=False)
    schedule: Schedule
    #: The lists of our SIMs; none where nothing is compared.
    inventory: Sequence["ListSection"] = field(repr=False)
    reconcile: Reconcile
    _carriers: Mapping[str, Any] = field(repr=False)
    _environ: Mapping[str, str] = field(repr=False)
    _alerts: Any = field(default=None, repr=False)
    #: None where nothing is ever deleted.
    retention: Retention | None = None
    #: None where nothing is exported.
    export: Export | None = field(default=None, repr=False)

    @property
    def carrier_names(self) -> Sequence[str]:
        """The names of all carriers, in the order of the file."""
        return tuple(self._carriers)

    @property
    def has_alerts(self) -> bool:
        """Whether somebody is to be told."""
        return self._alerts is not None

    @property
    def alerts(self) -> "Alerts | None":
        """Who is told of what; None where nobody is. Read only when it is asked for: no sync needs it.

        Raises:
            ConfigError: the section has problems.
        """
        if self._alerts is None:
            return None
        from sim_sync.config.alerts import parse_alerts

        return parse_alerts(self._alerts, self._environ, str(self.path))

    def carrier(self, name: str) -> "CarrierConfig":
        """Return one carrier's configuration.

        Raises:
            InputError: there is no such carrier.
            ConfigError: its part has problems.
        """
        self.require_known(name)
        from sim_sync.config.carrier import parse_carrier  # here, because it knows all connectors

        carrier = parse_carrier(name, self._carriers[name], self._environ, str(self.path))
        return replace(carrier, warehouse_url=self.warehouse_url)

    def max_age_hours(self, name: str) -> float:
        """Return after how long without a completed walk a carrier is not fresh.

        Read by itself, because `status` asks it of every carrier and needs nothing else of its part; where it is no
        age, the carrier is not walked at all, and is measured by the default.
        """
        part = self._carriers[name]
        given = part.get("max_age_hours") if isinstance(part, Mapping) else None
        value = resolve(given, ("carriers", name, "max_age_hours"), self._environ, str(self.path)).value
        try:
            hours = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            return DEFAULT_MAX_AGE_HOURS
        return hours if hours > 0 else DEFAULT_MAX_AGE_HOURS

    def retry(self, name: str) -> Retry:
        """Return how transient failures of a carrier are ridden out.

        Read by itself, because the sensor asks it of every open session, every few seconds.

        Raises:
            InputError: there is no such carrier.
            ConfigError: this key of it has problems.
        """
        self.require_known(name)
        part = self._carriers[name]
        if not isinstance(part, Mapping) or "retry" not in part:
            return Retry()
        at: KeyPath = ("carriers", name, "retry")
        told = resolve(part["retry"], at, self._environ, str(self.path))
        found, problems = read_part(reader_of(Retry), told, at, str(self.path), known_keys=Retry.model_fields)
        if found is None or told.problems or problems:
            raise ConfigError([*told.problems, *problems])
        return cast("Retry", found)

    def require_known(self, name: str) -> None:
        """Raise `InputError` unless there is a carrier of that name."""
        if name not in self._carriers:
            raise InputError(f"no carrier {name!r}; {self.path} has: {', '.join(self._carriers)}")

    def names_of(self, carrier: str | None) -> Sequence[str]:
        """Return the names of the carriers that are meant: this one, or all where none is named.

        Raises:
            InputError: there is no such carrier.
        """
        if carrier is None:
            return self.carrier_names
        self.require_known(carrier)
        return [carrier]

    def require_sound(self, names: Sequence[str], *, with_alerts: bool = False) -> None:
        """Raise `ConfigError` with all the problems of these carriers, and of `alerts`, unless they have none."""
        problems: list[Problem] = []
        for name in names:
            try:
                self.carrier(name)
            except ConfigError as error:
                problems.extend(error.problems)
        try:
            _ = self.alerts if with_alerts else None
        except ConfigError as error:
            problems.extend(error.problems)
        if problems:
            raise ConfigError(problems)

    def our_lists(self) -> Sequence["OurList"]:
        """Return all our lists of SIMs, to be read."""
        return [self._list(section) for section in self.inventory]

    def has_list_of(self, carrier: str) -> bool:
        """Return whether a list may have SIMs of a carrier: without one, nothing is compared."""
        return any(section.covers(carrier) for section in self.inventory)

    def min_percent_of_last(self, carrier: str) -> float:
        """Return how many per cent of its last SIMs our list of a carrier must have: the strictest section counts."""
        return max((one.told.min_percent_of_last for one in self.inventory if one.covers(carrier)), default=0.0)

    def our_list(self, carrier: str | None = None) -> "OurList | None":
        """Return our list of a carrier's SIMs, or of all, to be read; None where none is configured."""
        covering = [one for one in self.inventory if carrier is None or one.covers(carrier)]
        lists = [self._list(section) for section in covering]
        if not lists:
            return None
        if len(lists) == 1:
            return lists[0]
        from sim_sync.inventory import SeveralLists

        return SeveralLists(lists)

    def _list(self, section: "ListSection") -> "OurList":
        places = [place_of(one.told) for one in self.inventory]
        is_shared = places.count(place_of(section.told)) > 1
        suffix = f", section {section.at[-1]}" if is_shared else ""
        folder = self.path.parent
        found = list_of(section.told, folder, self.carrier_names, section.variables, suffix=suffix)
        return QuietList(found, section.part, section.at)


@dataclass(frozen=True, slots=True)
class ListSection:
    """One list of `inventory:`. `variables` names those of the environment that its keys came from, `at` its place."""

    told: Inventory
    part: Resolved = field(repr=False)
    at: KeyPath
    variables: Mapping[str, str]

    def covers(self, carrier: str) -> bool:
        """Return whether it may have SIMs of the carrier."""
        return self.told.carriers is None or carrier in self.told.carriers


def load_config(path: Path | None = None, *, environ: Mapping[str, str] | None = None) -> Config:
    """Read the configuration: from `path`, or from where `SIM_SYNC_CONFIG` says, or from `./carriers.yaml`.

    Raises:
        ConfigError: something that concerns all carriers is wrong; then those of the carriers are listed too.
    """
    environ = os.environ if environ is None else environ
    path = path or Path(environ.get(CONFIG_VARIABLE) or DEFAULT_PATH)
    return _Reader(path, read_document(path), environ).config()


class _Reader:
    """Reads the file's sections, collecting what is wrong with them."""

    def __init__(self, path: Path, document: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self._path = path
        self._document = document
        self._environ = environ
        self._problems: list[Problem] = []

    def config(self) -> Config:
        self._refuse_unknown_sections()
        warehouse_url = self._warehouse_url()
        schedule = self._section("schedule", Schedule) or Schedule()
        inventory = list(self._lists()) if "inventory" in self._document else []
        reconcile = self._section("reconcile", Reconcile) or Reconcile()
        config = Config(
            path=self._path,
            warehouse_url=warehouse_url,
            schedule=schedule,
            inventory=inventory,
            reconcile=reconcile,
            _carriers=self._carriers(),
            _environ=self._environ,
            _alerts=self._document.get("alerts"),
            retention=self._section("retention", Retention),
            export=self._section("export", Export),
        )
        if self._problems:
            self._add_problems_of_carriers(config)
            raise ConfigError(self._problems)
        return config

    def _refuse_unknown_sections(self) -> None:
        for name in self._document:
            if name not in _SECTIONS:
                self._complain((name,), f"one of {', '.join(_SECTIONS)}", "an unknown key")

    def _warehouse_url(self) -> str:
        override = self._environ.get(WAREHOUSE_VARIABLE)
        raw = self._document.get("warehouse")
        url = raw.get("url") if isinstance(raw, Mapping) else None
        if not override and variable_of(url) == WAREHOUSE_VARIABLE:
            return DEFAULT_WAREHOUSE_URL
        if override and isinstance(raw, Mapping) and set(raw) <= {"url"}:
            return override
        section: WarehouseSection | None = self._section("warehouse", WarehouseSection)
        configured = section.url.get_secret_value() if section and section.url else None
        return override or configured or DEFAULT_WAREHOUSE_URL

    def _section(self, name: str, model: Any) -> Any:
        raw = self._document.get(name)
        return None if raw is None else self._read((name,), raw, model)[0]

    def _read(self, at: KeyPath, raw: Any, model: Any) -> tuple[Any, Resolved]:
        """Return what a model makes of a part of the file, and the part with its variables filled in."""
        part: Resolved = resolve(raw, at, self._environ, str(self._path))
        self._problems.extend(part.problems)
        keys = getattr(model, "model_fields", {})
        found, problems = read_part(reader_of(model), part, at, str(self._path), known_keys=keys)
        self._problems.extend(problems)
        return found, part

    def _lists(self) -> Iterator["ListSection"]:
        """Yield the sections of our lists: there is one, or a list of them."""
        raw = self._document["inventory"]
        if raw == []:
            self._complain(_INVENTORY, "our list, or several of them", "an empty list")
        places = (
            [(_INVENTORY, raw)]
            if not isinstance(raw, list)
            else [((*_INVENTORY, number), one) for number, one in enumerate(raw)]
        )
        for at, one in places:
            found, part = self._read(at, one, InventorySection)
            if found is None:
                continue
            self._refuse_unknown_carriers(found, at)
            named = one.items() if isinstance(one, Mapping) else ()
            variables = {key: variable for key, value in named if (variable := variable_of(value)) is not None}
            yield ListSection(found, part, at, variables)

    def _refuse_unknown_carriers(self, section: Inventory, at: KeyPath) -> None:
        configured = self._document.get("carriers")
        known = [str(name) for name in configured] if isinstance(configured, Mapping) else []
        for number, name in enumerate(section.carriers or ()):
            if name not in known:
                self._complain((*at, "carriers", number), f"one of {', '.join(known)}", repr(name))

    def _carriers(self) -> Mapping[str, Any]:
        raw = self._document.get("carriers")
        if not isinstance(raw, Mapping) or not raw:
            self._complain(("carriers",), "at least one carrier, by its name", "none")
            return {}
        for name in raw:
            if not (isinstance(name, str) and len(name) <= 100 and CARRIER_NAME.fullmatch(name)):
                expected = "a name of letters, digits, single dots, dashes and underscores, at most 100 of them"
                self._complain(("carriers", str(name)), expected, repr(name))
        return {str(name): value for name, value in raw.items()}

    def _add_problems_of_carriers(self, config: Config) -> None:
        try:
            config.require_sound(config.carrier_names, with_alerts=True)
        except ConfigError as error:
            self._problems.extend(error.problems)

    def _complain(self, place: KeyPath, expected: str, found: str) -> None:
        self._problems.append(Problem(str(self._path), key_text(place), expected, found))
