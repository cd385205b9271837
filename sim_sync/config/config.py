"""The configuration as a whole. A carrier with problems of its own does not keep the others from being synced."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sim_sync.config.carrier import CARRIER_NAME, CarrierConfig, parse_carrier
from sim_sync.config.document import read_document
from sim_sync.config.environment import KeyPath, Resolved, key_text, resolve, variable_of
from sim_sync.config.our_list import list_of
from sim_sync.config.problems import read_part
from sim_sync.config.quiet_list import QuietList
from sim_sync.config.sections import Inventory, InventorySection, Reconcile, Schedule, WarehouseSection
from sim_sync.core.errors import ConfigError, InputError, Problem
from sim_sync.core.notes import DEFAULT_MAX_AGE_HOURS
from sim_sync.inventory import OurList

CONFIG_VARIABLE = "SIM_SYNC_CONFIG"
WAREHOUSE_VARIABLE = "SIM_SYNC_WAREHOUSE_URL"
DEFAULT_PATH = Path("carriers.yaml")
DEFAULT_WAREHOUSE_URL = "sqlite:///.sim_sync/warehouse.db"

_SECTIONS = ("warehouse", "schedule", "inventory", "reconcile", "carriers")
_INVENTORY: KeyPath = ("inventory",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What `carriers.yaml` says. Its printed form holds no secret."""

    path: Path
    warehouse_url: str = field(repr=False)
    schedule: Schedule
    inventory: Inventory | None = field(repr=False)
    reconcile: Reconcile
    _carriers: Mapping[str, Any] = field(repr=False)
    _environ: Mapping[str, str] = field(repr=False)
    #: The keys of `inventory` whose values came from the environment, with the variables' names.
    _inventory_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    _inventory_part: Resolved = field(default_factory=lambda: Resolved(None), repr=False)

    @property
    def carrier_names(self) -> Sequence[str]:
        """The names of all carriers, in the order of the file."""
        return tuple(self._carriers)

    def carrier(self, name: str) -> CarrierConfig:
        """Return one carrier's configuration.

        Raises:
            InputError: there is no such carrier.
            ConfigError: its part has problems.
        """
        self.require_known(name)
        return parse_carrier(name, self._carriers[name], self._environ, str(self.path))

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

    def require_known(self, name: str) -> None:
        """Raise `InputError` unless there is a carrier of that name."""
        if name not in self._carriers:
            raise InputError(f"no carrier {name!r}; {self.path} has: {', '.join(self._carriers)}")

    def require_sound(self, names: Sequence[str]) -> None:
        """Raise `ConfigError` with all the problems of these carriers, unless they have none."""
        problems: list[Problem] = []
        for name in names:
            try:
                self.carrier(name)
            except ConfigError as error:
                problems.extend(error.problems)
        if problems:
            raise ConfigError(problems)

    def our_list(self) -> OurList | None:
        """Return our list of SIMs, to be read; None where no list is configured."""
        found = self._our_list()
        return None if found is None else QuietList(found, self._inventory_part, _INVENTORY)

    def _our_list(self) -> OurList | None:
        if self.inventory is None:
            return None
        return list_of(self.inventory, self.path.parent, self.carrier_names, self._inventory_variables)


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
        inventory = self._section("inventory", InventorySection) if "inventory" in self._document else None
        reconcile = self._section("reconcile", Reconcile) or Reconcile()
        config = Config(
            path=self._path,
            warehouse_url=warehouse_url,
            schedule=schedule,
            inventory=inventory,
            reconcile=reconcile,
            _carriers=self._carriers(),
            _environ=self._environ,
            _inventory_variables=self._inventory_variables(),
            _inventory_part=resolve(self._document.get("inventory"), _INVENTORY, self._environ, str(self._path)),
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
        if raw is None and name != "inventory":
            return None
        part: Resolved = resolve(raw, (name,), self._environ, str(self._path))
        self._problems.extend(part.problems)
        adapter: TypeAdapter[Any] = TypeAdapter(model)
        keys = getattr(model, "model_fields", {})
        found, problems = read_part(adapter.validate_python, part, (name,), str(self._path), known_keys=keys)
        self._problems.extend(problems)
        return found

    def _inventory_variables(self) -> Mapping[str, str]:
        raw = self._document.get("inventory")
        found = {key: variable_of(value) for key, value in raw.items()} if isinstance(raw, Mapping) else {}
        return {key: variable for key, variable in found.items() if variable is not None}

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
            config.require_sound(config.carrier_names)
        except ConfigError as error:
            self._problems.extend(error.problems)

    def _complain(self, place: KeyPath, expected: str, found: str) -> None:
        self._problems.append(Problem(str(self._path), key_text(place), expected, found))
