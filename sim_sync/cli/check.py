"""`sim-sync check`: config, disks, the warehouse, our inventory, and two pages of each carrier."""

import json
import os
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

from sim_sync.carriers.pagination.rule import Pagination
from sim_sync.carriers.settings import Retry
from sim_sync.cli.dagster_home import full_beside, own_folders, require_one_truth
from sim_sync.config import CarrierConfig, Config, load_config
from sim_sync.core.errors import (
    AuthenticationFailed,
    CarrierError,
    CursorRejected,
    InputError,
    ParkRequired,
    SimSyncError,
    UnexpectedResponse,
)
from sim_sync.core.inventory import ListTally, shown_words
from sim_sync.core.pages import Page, cursor_digest
from sim_sync.core.ports import CarrierSource
from sim_sync.core.progress import pages_for
from sim_sync.core.sims import TRACKED_FIELDS, UNKNOWN_STATUS_FLAG, Sim
from sim_sync.core.text import bounded_list, counted, duration_text
from sim_sync.inventory import OurList, survey
from sim_sync.terminal.output import ExitCode, print_json, print_lines, worst_of
from sim_sync.terminal.tables import narrow_table, print_table
from sim_sync.terminal.workdir import SIMULATED_CARRIER, conflict_lines
from sim_sync.warehouse.code_locations import doubled
from sim_sync.warehouse.postgresql import is_for_many_hosts
from sim_sync.warehouse.warehouse import look_at_warehouse
from sim_sync.worker.stopping import StopSignal

# The second page of a list beside the first: whether a walk over them would get anywhere. Pure.
#
# A carrier that does not look at what asks for a page gives the same one forever, and one page alone does not show
# it.


def leads_back(page: Page, number: int, used: Collection[str]) -> str | None:
    """Return that a page names a next one that was fetched before, if it does; `used` are the digests of cursors."""
    if page.next_cursor is None or cursor_digest(page.next_cursor) not in used:
        return None
    return f"page {number} leads back to a page before it, so a walk would never end. {page.advice_on_repeats}."


def problem_of(first: Page, second: Page, number: int, *, may_overlap: bool) -> str | None:
    """Return what a second page shows to be wrong, with what to do about it; None where it is another page.

    Args:
        first: the page before.
        second: the page that is looked at.
        number: its number.
        may_overlap: a SIM may stand on several pages by design.
    """
    before, here = _content(first), _content(second)
    if not here or not here <= before or may_overlap or second.is_reread or _ends_by_design(second):
        return None
    if here == before:
        seen = f"page {number} is page {number - 1} again"
    else:
        seen = f"page {number} holds nothing but {counted(len(here), 'record')} of page {number - 1}"
    end = " If it ends its list by giving a page again, say `end_on: [repeated_page]` in the pagination."
    return f"{seen}, so a walk would see nothing else. {first.advice_on_repeats}.{end if first.suspect else ''}"


def failed_with(error: SimSyncError, first: Page, number: int) -> str:
    """Return that a second page could not be had, and what may be wrong; `first` is the page before."""
    told = f"page {number - 1} was read, but not page {number}: {error}"
    if first.suspect is None or not isinstance(error, UnexpectedResponse | CursorRejected) or "end_on" in told:
        return told
    return (
        f"{told}. If the carrier ends its list so, say that by `end_on` in the pagination; if not, look at how the "
        "pagination asks for a page"
    )


def doubts_about(first: Page, second: Page | None, number: int, *, may_overlap: bool) -> Iterator[str]:
    """Yield what keeps walks from marking SIMs as gone, as far as two pages show it."""
    last = first if second is None else second
    if last.end_doubt is not None:
        yield last.end_doubt
    if second is None or may_overlap or second.overlap or second.is_reread:
        return
    before, here = _content(first), _content(second)
    if twice := len(before & here):
        yield (
            f"{counted(twice, 'record')} of page {number} stood on page {number - 1} too: if the list has no stable "
            "order, its walks mark nothing as gone; ask for an order by `params`"
        )


def _ends_by_design(page: Page) -> bool:
    return page.next_cursor is None and page.overlap > 0


def _content(page: Page) -> frozenset[str]:
    return frozenset([*(sim.sim_id for sim in page.sims), *(record.payload for record in page.rejected)])


# What there is to find out: about disks, the warehouse, our inventory, and each carrier by two pages. No printing.


#: Carriers that are asked side by side.
_AT_ONCE = 8
#: Pages without a record that are passed over, at most: a walk of Cisco's begins with a window a year.
_EMPTY_PAGES = 40
#: A person waits for the answer: what a sync rides out for minutes is told at once.
_RETRY = Retry(base_seconds=0.5, ceiling_seconds=1, max_attempts=2, park_after_seconds=5)


@dataclass(frozen=True, slots=True)
class PlaceFindings:
    """The state of the warehouse or of our inventory, in one line."""

    name: str
    told: str
    exit_code: ExitCode = ExitCode.DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierFindings:
    """What two pages tell about a carrier; None where they do not tell. `doubts` say why its walks may mark nothing."""

    carrier: str
    reachable: bool | None = None
    authenticated: bool | None = None
    sims: int | None = None
    pages: int | None = None
    walk_seconds: float | None = None
    empty_columns: Sequence[str] = ()
    unknown_status_words: Sequence[str] = ()
    unreadable_records: int = 0
    unreadable_reason: str | None = None
    doubts: Sequence[str] = ()
    problem: str | None = None
    exit_code: ExitCode = ExitCode.DONE


@dataclass(frozen=True, slots=True)
class _FirstPage:
    """The first page with a record on it: its number, the seconds that it took, and the cursors fetched so far."""

    page: Page
    number: int
    seconds: float
    used: Sequence[str]


def look_at_tables(config: Config) -> PlaceFindings:
    """Return how the warehouse is."""
    try:
        require_one_truth(config.warehouse_url)
        health = look_at_warehouse(config.warehouse_url)
    except SimSyncError as error:
        return PlaceFindings("warehouse", str(error), _code_of(error))
    doubles = doubled(health.code_locations, config.carrier_names)
    told = "; ".join([f"{health.url}, {health.schema}", *doubles])
    return PlaceFindings("warehouse", told, ExitCode.FAILED if doubles else ExitCode.DONE)


def look_at_folders(config: Config) -> PlaceFindings:
    """Return whether there is room where a sync writes beside the warehouse."""
    if full := full_beside(config.warehouse_url):
        return PlaceFindings("folders", "; ".join(full), ExitCode.FAILED)
    home, own = own_folders()
    return PlaceFindings("folders", f"{home} for Dagster, {own} for limits that processes share")


#: Names of carriers in one line, in bytes.
_LONGEST_NAMES = 200


def look_at_limits(config: Config, names: Sequence[str]) -> Sequence[PlaceFindings]:
    """Return for whom the limits are kept that these carriers share; nothing where none does."""
    limits = {name: config.carrier(name).settings.rate_limit for name in names}
    sharing = [name for name, limit in limits.items() if limit.shared_key is not None]
    if not sharing:
        return []
    whose = f"rate_limit.shared_key of {bounded_list(sharing, 'carrier', _LONGEST_NAMES)}"
    if is_for_many_hosts(config.warehouse_url):
        return [PlaceFindings("limits", f"{whose}: kept in the warehouse, for all hosts that use it")]
    _, own = own_folders()
    told = f"{whose}: kept in {own}, for this host alone; hosts that share an account need a warehouse in PostgreSQL"
    return [PlaceFindings("limits", told)]


def look_at_export(config: Config) -> Sequence[PlaceFindings]:
    """Return whether the tables of a night can be written where they are to go; nothing where they go nowhere."""
    if config.export is None:
        return []
    from sim_sync.export import look_at_places

    found = look_at_places(config.export, config.path.parent)
    told = "; ".join(place if problem is None else problem for place, problem in found.items())
    is_well = all(problem is None for problem in found.values())
    return [PlaceFindings("export", told, ExitCode.DONE if is_well else ExitCode.FAILED)]


def look_at_inventory(config: Config, names: Sequence[str]) -> PlaceFindings:
    """Return how the part of these carriers in our lists of SIMs is: each list that may have SIMs of theirs is read."""
    lists = [one for one in config.our_lists() if not set(one.carriers).isdisjoint(names)]
    if not lists:
        return PlaceFindings("inventory", "none is configured, so there is nothing to compare the carriers with")
    found = [_look_at_list(one, names) for one in lists]
    places = [f"{one.where}: " if len(lists) > 1 else "" for one in lists]
    told = "; ".join(place + item.told for place, item in zip(places, found, strict=True))
    return PlaceFindings("inventory", told, worst_of(item.exit_code for item in found))


def _look_at_list(our_list: OurList, names: Sequence[str]) -> PlaceFindings:
    try:
        with our_list.opened(names) as reading:
            tally = survey(reading)
    except SimSyncError as error:
        return PlaceFindings("inventory", str(error), _code_of(error))
    return PlaceFindings("inventory", "; ".join(_told_of(tally)))


def _told_of(tally: ListTally) -> Iterator[str]:
    yield counted(tally.sims, "SIM")
    for number, (first, *_) in tally.by_kind():
        flaw = ("lacks" if number == 1 else "lack") + " a value" if first.uses_row else "cannot be used"
        yield f"{counted(number, 'row')} {flaw}, the first in {tally.described(first)}"
    if tally.unknown_status_words:
        yield f"unknown status words: {shown_words(tally.unknown_status_words)}"
    if tally.unknown_carriers:
        yield f"carriers that are not configured: {shown_words(tally.unknown_carriers)}"


def look_at_carriers(config: Config, names: Sequence[str], *, has_warehouse: bool) -> Sequence[CarrierFindings]:
    """Fetch two pages of each carrier, and return what they tell; a warehouse that is away is not waited for."""
    carriers = [config.carrier(name) for name in names]
    if not has_warehouse:
        carriers = [replace(carrier, warehouse_url=None) for carrier in carriers]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        return list(threads.map(look_at_carrier, carriers))


def look_at_carrier(carrier: CarrierConfig) -> CarrierFindings:
    """Fetch the carrier's first page with a record on it and the one behind it, and return what they tell."""
    impatient = replace(carrier, settings=replace(carrier.settings, retry=_RETRY))
    source = impatient.build(StopSignal())
    try:
        first = _first_telling_page(source)
    except SimSyncError as error:
        return _failed(carrier.name, error)
    found = _told_by(carrier, first.page, first.seconds)
    problem, doubts = _look_behind(carrier, source, first)
    doubts = [*doubts, *_doubts_about_order(carrier, first.page)]
    code = ExitCode.DONE if problem is None else ExitCode.FAILED
    return replace(found, problem=problem, doubts=doubts, exit_code=code)


def _first_telling_page(source: CarrierSource) -> _FirstPage:
    """Return the first page with a record: some lists begin with years without a SIM."""
    cursor = source.first_cursor()
    used: list[str] = []
    for _ in range(_EMPTY_PAGES):
        started = time.monotonic()
        page = source.fetch_page(cursor).read()
        page_seconds = time.monotonic() - started
        used.append(cursor_digest(cursor))
        if page.records or page.next_cursor is None:
            break
        cursor = page.next_cursor
    return _FirstPage(page, len(used), page_seconds, used)


def _look_behind(carrier: CarrierConfig, source: CarrierSource, first: _FirstPage) -> tuple[str | None, Sequence[str]]:
    """Fetch the page behind the first, if there is one, and return what is wrong with the two, and what is doubtful."""
    page, number = first.page, first.number + 1
    may_overlap = carrier.connector.pages_overlap
    problem = leads_back(page, first.number, first.used)
    if page.next_cursor is None or problem is not None:
        return problem, list(doubts_about(page, None, number, may_overlap=may_overlap))
    try:
        second = source.fetch_page(page.next_cursor).read()
    except SimSyncError as error:
        return failed_with(error, page, number), ()
    used = [*first.used, cursor_digest(page.next_cursor)]
    problem = problem_of(page, second, number, may_overlap=may_overlap) or leads_back(second, number, used)
    return problem, list(doubts_about(page, second, number, may_overlap=may_overlap)) if problem is None else ()


def _doubts_about_order(carrier: CarrierConfig, page: Page) -> Iterator[str]:
    """Yield that pages which are answered in another order than theirs may pass SIMs over, where no total shows it."""
    settings = carrier.settings
    in_flight = settings.rate_limit.max_in_flight if settings.read_ahead else 1
    names_pages = type(carrier.connector.pagination(settings)).ahead is not Pagination.ahead
    if in_flight > 1 and names_pages and page.next_cursor is not None and page.records_total is None:
        yield (
            f"max_in_flight is {in_flight}, and the carrier tells no total of records: a SIM that comes while another "
            "leaves may hide a third from the walk, and nothing shows it; leave it at 1, or declare the total"
        )


def _failed(name: str, error: SimSyncError) -> CarrierFindings:
    refused = isinstance(error, AuthenticationFailed)
    return CarrierFindings(
        carrier=name,
        reachable=isinstance(error, CarrierError) if isinstance(error, CarrierError | ParkRequired) else None,
        authenticated=False if refused else None,
        problem=str(error),
        exit_code=_code_of(error),
    )


def _told_by(carrier: CarrierConfig, page: Page, page_seconds: float) -> CarrierFindings:
    sims = len(page.sims) if page.next_cursor is None and page.records_total is None else page.records_total
    pages = 1 if page.next_cursor is None else page.pages_total
    if pages is None:
        pages = pages_for(sims, pages_done=1, records_seen=page.records)
    rate = carrier.settings.rate_limit.requests_per_second
    seconds_per_page = max(page_seconds, 0.0 if rate is None else 1 / rate)
    return CarrierFindings(
        carrier=carrier.name,
        reachable=True,
        authenticated=True,
        sims=sims,
        pages=pages,
        walk_seconds=None if pages is None else round(pages * seconds_per_page, 1),
        empty_columns=_empty_columns(page.sims),
        unknown_status_words=_unknown_status_words(page.sims),
        unreadable_records=len(page.rejected),
        unreadable_reason=page.rejected[0].reason if page.rejected else None,
    )


def _empty_columns(sims: Sequence[Sim]) -> Sequence[str]:
    """Return the tracked columns that no SIM of the page fills; an empty page says nothing about them."""
    if not sims:
        return ()
    return [name for name in TRACKED_FIELDS if all(getattr(sim, name) is None for sim in sims)]


def _unknown_status_words(sims: Sequence[Sim]) -> Sequence[str]:
    unknown = (sim for sim in sims if UNKNOWN_STATUS_FLAG in json.loads(sim.quality_flags))
    return sorted({sim.carrier_status or "" for sim in unknown})


def _code_of(error: SimSyncError) -> ExitCode:
    return ExitCode.USAGE if isinstance(error, InputError) else ExitCode.FAILED


# The command: all of it together, printed and given its exit code.


#: The shipped carrier is served by nobody unless somebody asks for it.
_SIMULATED_HINT = "; `make dev` serves the simulated carrier, and so does `sim-sync simulate --port 8585`"


def check_everything(carriers: Sequence[str], *, as_json: bool) -> ExitCode:
    """Check all that a sync needs, print what was found, and return the worst of it."""
    config = load_config()
    for name in carriers:
        config.require_known(name)
    names = carriers or config.carrier_names
    config.require_sound(names, with_alerts=True)
    places = [look_at_tables(config), look_at_inventory(config, names), look_at_folders(config)]
    places += [*look_at_limits(config, names), *look_at_export(config)]
    found = look_at_carriers(config, names, has_warehouse=places[0].exit_code is ExitCode.DONE)
    if as_json:
        _print_json(str(config.path), places, found)
    else:
        _print_table(str(config.path), places, found)
    return worst_of([item.exit_code for item in places] + [item.exit_code for item in found])


def _print_json(path: str, places: Sequence[PlaceFindings], found: Sequence[CarrierFindings]) -> None:
    document = {
        "config": path,
        **{place.name: _told(place) for place in places},
        "carriers": [_told(carrier) for carrier in found],
    }
    print_json(document)


def _told(item: PlaceFindings | CarrierFindings) -> dict[str, object]:
    return asdict(item) | {"exit_code": int(item.exit_code), "ok": item.exit_code is ExitCode.DONE}


def _print_table(path: str, places: Sequence[PlaceFindings], found: Sequence[CarrierFindings]) -> None:
    print_lines([f"config     ok: {path}", *conflict_lines(os.environ)])
    print_lines(f"{place.name:<10} {_word(place.exit_code)}: {place.told}" for place in places)
    table = narrow_table("carrier", "reachable", "signed in", "SIMs", "pages", "a walk takes", foldable={"carrier"})
    for carrier in found:
        table.add_row(
            carrier.carrier,
            _yes_or_no(carrier.reachable),
            _yes_or_no(carrier.authenticated),
            "not told" if carrier.sims is None else f"{carrier.sims:,}",
            "not known" if carrier.pages is None else f"{carrier.pages:,}",
            "not known" if carrier.walk_seconds is None else duration_text(carrier.walk_seconds),
        )
    print_table(table)
    print_lines(f"{carrier.carrier}: {_notes(carrier)}" for carrier in found)


def _notes(carrier: CarrierFindings) -> str:
    if carrier.problem is not None:
        return carrier.problem + (_SIMULATED_HINT if carrier.carrier == SIMULATED_CARRIER else "")
    notes = []
    if carrier.empty_columns:
        notes.append(f"stay empty: {', '.join(carrier.empty_columns)}")
    if carrier.unknown_status_words:
        notes.append(f"unknown status words: {', '.join(carrier.unknown_status_words)}")
    if carrier.unreadable_records:
        notes.append(f"{counted(carrier.unreadable_records, 'unreadable record')}: {carrier.unreadable_reason}")
    notes += carrier.doubts
    return "; ".join(notes) or "all well"


def _word(code: ExitCode) -> str:
    return "ok" if code is ExitCode.DONE else "FAILED"


def _yes_or_no(value: bool | None) -> str:
    return {True: "yes", False: "NO", None: "?"}[value]
