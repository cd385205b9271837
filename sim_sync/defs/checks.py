"""Asset checks: what a person should look at after a night, each as one question with a yes or no.

A check speaks of all carriers at once: Dagster shows one latest answer for an asset, and a carrier that is well must
not hide another one that is not.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import dagster as dg

from sim_sync.config import Config
from sim_sync.core.notes import (
    CarrierOverview,
    failure_concern,
    freshness_concern,
    quarantine_concern,
    since_note,
    sweep_concern,
)
from sim_sync.core.sweep import is_about_total
from sim_sync.core.text import counted
from sim_sync.defs.jobs import Names
from sim_sync.defs.progress import code_span
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.bad_identifiers import count_bad_identifiers
from sim_sync.warehouse.code_locations import SqlCodeLocations, doubled
from sim_sync.warehouse.knowledge import (
    compared_of,
    count_high_discrepancies,
    count_open_discrepancies,
    count_unknown_status_words,
    totals_of_last_walks,
)
from sim_sync.warehouse.overviews import carrier_overviews


def walks_are_certified(sync_config: Config, warehouse: Warehouse) -> dg.AssetCheckResult:
    """The last completed walk of every carrier saw its whole list, and what it did not see was marked."""
    found = _concerns(sync_config, warehouse, sweep_concern)
    return _result(found, "every walk is certified")


def carriers_are_fresh(sync_config: Config, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every carrier was walked to its end within its `max_age_hours`."""
    now = warehouse.sessions.now()

    def concern(overview: CarrierOverview) -> str | None:
        return freshness_concern(overview, sync_config.max_age_hours(overview.carrier), now)

    found = _concerns(sync_config, warehouse, concern)
    return _result(found, "every carrier is fresh")


def each_carrier_has_one_code_location(sync_config: Config, warehouse: Warehouse) -> dg.AssetCheckResult:
    """No other code location of Dagster looks after the same carriers: each would walk them every night."""
    locations = SqlCodeLocations(warehouse.engine, clock=warehouse.sessions.now)
    found = doubled(locations.at_work(), sync_config.carrier_names)
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(found) or "every carrier has one",
    )


def no_session_has_failed(sync_config: Config, warehouse: Warehouse) -> dg.AssetCheckResult:
    """No carrier's session is `failed`: waiting for a person, or for the next night to try again."""
    found = _concerns(sync_config, warehouse, failure_concern)
    return _result(found, "none has failed", written=code_span)


def every_record_was_read(sync_config: Config, warehouse: Warehouse) -> dg.AssetCheckResult:
    """The last walks of every carrier could read all its records; what they could not is in quarantine."""
    found = _concerns(sync_config, warehouse, quarantine_concern)
    return _result(found, "every record was read")


def status_words_are_known(sync_config: Config, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every status word of every carrier has a place in the lifecycle."""
    counts = count_unknown_status_words(warehouse.engine, sync_config.carrier_names)
    wrong = "unknown status words, to be named under `statuses:` in carriers.yaml"
    return _result(_listed(counts, repr), "every status word is known", wrong, written=code_span)


def no_severe_discrepancy(config: Config, warehouse: Warehouse) -> dg.AssetCheckResult:
    """No carrier has an open discrepancy of high severity."""
    counts = count_high_discrepancies(warehouse.engine, config.carrier_names)
    told = [f"{counted(count, 'open difference')} of high severity at {carrier}" for carrier, count in counts.items()]
    return dg.AssetCheckResult(
        passed=not counts,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{'; '.join(told)}: see `sim-sync discrepancies`" if told else _none_is_open(config, warehouse),
        metadata=dict(counts),
    )


def discrepancies_are_few(config: Config, warehouse: Warehouse) -> dg.AssetCheckResult:
    """No carrier has more open discrepancies than `reconcile.max_discrepancies`, acknowledged ones left out."""
    most = config.reconcile.max_discrepancies
    if most is None:
        return _result({}, "no threshold is configured (reconcile.max_discrepancies)")
    counts = count_open_discrepancies(warehouse.engine, config.carrier_names)
    found = {
        carrier: f"{counted(count, 'open discrepancy', 'open discrepancies')}, more than {most:,}"
        for carrier, count in counts.items()
        if count > most
    }
    return _result(found, f"no carrier has more than {counted(most, 'open discrepancy', 'open discrepancies')}")


def totals_agree(config: Config, warehouse: Warehouse) -> dg.AssetCheckResult:
    """The last completed walk of every carrier saw as many SIMs as the carrier said it has."""
    totals = totals_of_last_walks(warehouse.engine, config.carrier_names)
    found = {
        carrier: f"it says it has {counted(total.told, 'SIM')}, and its last complete walk saw {total.seen:,}"
        for carrier, total in totals.items()
        if not is_about_total(total.told, total.seen)
    }
    return _result(found, "every total that a carrier tells agrees with its walk")


def identifiers_are_sound(config: Config, warehouse: Warehouse) -> dg.AssetCheckResult:
    """No SIM has an identifier that cannot be one: too short or long, rounded, or with other marks than digits."""
    counts = count_bad_identifiers(warehouse.engine, config.carrier_names)
    wrong = "bad identifiers, see `sim-sync discrepancies --kind quality`"
    return _result(_listed(counts, str.upper), "every identifier can be one", wrong)


Check: TypeAlias = Callable[[Config, Warehouse], dg.AssetCheckResult]

#: The checks of each asset.
CHECKS: Mapping[str, Sequence[Check]] = {
    "carrier_sims": (
        walks_are_certified,
        carriers_are_fresh,
        no_session_has_failed,
        every_record_was_read,
        status_words_are_known,
        totals_agree,
        identifiers_are_sound,
        each_carrier_has_one_code_location,
    ),
    "sim_discrepancies": (no_severe_discrepancy, discrepancies_are_few),
}
_RESOURCES = ("sync_config", "warehouse")


def build_checks(names: Names) -> Sequence[dg.AssetChecksDefinition]:
    """Build the checks of one deployment."""
    return [_build(check, asset, names) for asset, checks in CHECKS.items() for check in checks]


def _build(check: Check, asset: str, names: Names) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=names.asset(asset),
        name=check.__name__,
        description=check.__doc__,
        required_resource_keys=names.keys(*_RESOURCES),
    )
    def ask(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        found = names.resources(context, *_RESOURCES)
        return answer(check, found["sync_config"], found["warehouse"])

    return ask


def answer(check: Check, config: Config, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Return the result of a check: of the last completed walks, and what has happened since where it did not pass.

    A later walk that is open, failed or superseded resolves nothing; only a completed one does.
    """
    result = check(config, warehouse)
    if result.passed or check is no_session_has_failed:  # this one is about the later walk itself
        return result
    carriers = [name for name in config.carrier_names if name in result.metadata]
    notes = _concerns(config, warehouse, since_note)
    since = [f"{carrier}: {notes[carrier]}" for carrier in carriers if carrier in notes]
    return result._replace(description="; since then, ".join([result.description or "", *since]))


def _none_is_open(config: Config, warehouse: Warehouse) -> str:
    """Return that no discrepancy is open, where that was found out."""
    if not config.inventory:
        return "nothing is compared: no inventory is configured"
    compared = compared_of(warehouse.engine, config.carrier_names)
    listed = {carrier: one for carrier, one in compared.items() if config.has_list_of(carrier)}
    waiting = [carrier for carrier, one in listed.items() if one.as_of is None]
    others = [carrier for carrier in compared if carrier not in listed]
    told = {"not compared yet": waiting, "without a list of ours": others}
    return "; ".join(["none is open", *(f"{what}: {', '.join(names)}" for what, names in told.items() if names)])


def _concerns(
    config: Config, warehouse: Warehouse, concern: Callable[[CarrierOverview], str | None]
) -> Mapping[str, str]:
    """Return what is unresolved, by carrier."""
    told = {
        overview.carrier: concern(overview) for overview in carrier_overviews(warehouse.engine, config.carrier_names)
    }
    return {carrier: text for carrier, text in told.items() if text is not None}


def _listed(counts: Mapping[str, Mapping[str, int]], shown: Callable[[str], str]) -> Mapping[str, str]:
    """Return what was counted, by carrier, each word as it is to be shown."""
    return {
        carrier: ", ".join(f"{shown(word)} ({count:,})" for word, count in found.items())
        for carrier, found in counts.items()
    }


def _result(
    found: Mapping[str, str], all_well: str, what_is_wrong: str = "", *, written: Callable[[str], str] = str
) -> dg.AssetCheckResult:
    """Return the result. The description is Markdown, so words of a carrier have to be `written` as code."""
    told = "; ".join(f"{carrier}: {written(text)}" for carrier, text in found.items())
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=": ".join(filter(None, [what_is_wrong, told])) if found else all_well,
        metadata=dict(found),
    )
