"""What differs now between our list and the carrier, into the temporary table `found`. Nothing is kept here."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sim_sync.core.discrepancies import CompanyRules, Kind
from sim_sync.core.pages import DIGITS, WITHOUT_CHECK_DIGIT
from sim_sync.core.sims import Lifecycle
from sim_sync.warehouse.bad_identifiers import (
    MOST_SIMS,
    GeneralFinding,
    count_bad,
    finding_about_many,
    has_bad,
    name_of_sim,
    value_of,
)
from sim_sync.warehouse.discrepancies import BY_ID, billed_plan, plan_prices, units_of
from sim_sync.warehouse.matching import (
    changed_profiles,
    is_not_ours,
    match_sims,
    names_eids,
    our_unmatched,
    ours,
    pairs,
    their_unmatched,
    theirs_of,
    there,
    twins,
    unlisted_words,
)
from sim_sync.warehouse.severity import Facts, advice_of, overruled, severity_of
from sim_sync.warehouse.shared_sims import Placement, in_scope, is_placed, placements, stem_of
from sim_sync.warehouse.tables import carrier_sims, sim_discrepancies
from sim_sync.warehouse.temporary import analyzed, temporary_table

# What differs now between our list and what the carrier says, into the temporary table `found`. Nothing is kept here.
#
# The fields, and when both sides can be said to tell one, are defined here; which SIM is which is in `matching`.


#: What differs now; `units` is what it costs a month, in ten-thousandths.
found = temporary_table(
    *("found_discrepancies", "kind", "field", "iccid", "ours", "theirs", "severity", "advice"),
    key=("kind", "field", "iccid"),
    numbers=("units",),
)
#: The pairs that tell at least one field differently.
_differing = temporary_table("differing_sims", "iccid", "their_iccid", key=("iccid",))
sa.Index("ix_differing_sims_their_iccid", _differing.c.their_iccid)

_theirs = carrier_sims.c
#: What decides whether a SIM is on the bill, and what it costs.
_PAID_BY = ("status", "rate_plan")
_NOTHING = sa.cast(sa.null(), sa.Text())


def find_differences(
    connection: sa.Connection, carrier: str, fields: Sequence[str], rules: CompanyRules, *, only_shared: bool = False
) -> None:
    """Create and fill `found` for a carrier, and the tables of `matching`; the caller drops them.

    `only_shared` looks at nothing but the SIMs that it shares with the carrier that is compared.
    """
    found.create(connection)
    # Which SIM has an EID, and whether another one has it too, only all of them tell.
    by_eid = names_eids(connection, carrier)
    match_sims(connection, carrier, by_eid=by_eid, only_shared=only_shared and not by_eid)
    finder = _Finder(connection, carrier, rules)
    finder.find_missing()
    finder.find_unknown()
    finder.find_without_iccid()
    finder.find_elsewhere()
    if fields:
        finder.find_mismatches(fields)
    if by_eid:
        finder.find_changed_profiles()
    if only_shared:
        scope = in_scope(carrier).subquery()
        connection.execute(found.delete().where(~sa.exists().where(scope.c.iccid == found.c.iccid)))
    else:
        finder.find_bad_identifiers()
        finder.find_twins()
        if "status" in fields:
            finder.find_unlisted_words()
    analyzed(connection, found)


class _Finder:
    """Writes what it finds at one carrier, each with its severity, advice and price."""

    def __init__(self, connection: sa.Connection, carrier: str, rules: CompanyRules) -> None:
        self._connection = connection
        self._carrier = carrier
        self._rules = rules

    def find_missing(self) -> None:
        """Find SIMs of our list that the carrier does not have, and no other carrier either."""
        facts = Facts(ours=ours.c.status, theirs=sa.null(), pending=sa.false())
        told = self._telling(Kind.MISSING_AT_CARRIER, facts, ours.c.iccid, ours.c.status, _NOTHING)
        moved = is_placed(self._carrier, ours.c.iccid, Placement.MOVED)
        self._write(Kind.MISSING_AT_CARRIER, told.where(our_unmatched(), ~moved))

    def find_unknown(self) -> None:
        """Find SIMs of the carrier that our list does not have anywhere."""
        facts = Facts(ours=sa.null(), theirs=there.c.status, pending=_is_pending())
        plan = self._billed(there.c.status, sa.null(), there.c.rate_plan)
        told = self._telling(Kind.UNKNOWN_TO_US, facts, there.c.iccid, _NOTHING, there.c.status, plan=plan)
        elsewhere = is_placed(self._carrier, there.c.iccid, Placement.WRONG_CARRIER, Placement.DUPLICATE_ICCID)
        self._write(Kind.UNKNOWN_TO_US, told.where(their_unmatched(), ~elsewhere))

    def find_without_iccid(self) -> None:
        """Find the carrier's SIMs without an ICCID, under their `sim_id`: nobody can be their pair."""
        facts = Facts(ours=sa.null(), theirs=_theirs.status, pending=_theirs.pending)
        plan = self._billed(_theirs.status, sa.null(), _theirs.rate_plan)
        told = self._telling(Kind.UNKNOWN_TO_US, facts, name_of_sim(), _NOTHING, _theirs.status, plan=plan)
        nameless = sa.and_(theirs_of(self._carrier), _theirs.iccid.is_(None), ~has_bad("iccid"))
        self._write(Kind.UNKNOWN_TO_US, told.where(nameless, is_not_ours(name_of_sim())))

    def find_bad_identifiers(self) -> None:
        """Find SIMs of the carrier with an identifier that cannot be one; very many of one sort are one finding."""
        for field, count in count_bad(self._connection, self._carrier).items():
            if count > MOST_SIMS:
                self._find_general(finding_about_many(field, count))
            else:
                self._find_bad(field)

    def _find_bad(self, field: str) -> None:
        # Two SIMs of one ICCID may have the same trouble: it is one finding, with the greater value.
        told_of = {"iccid": name_of_sim(), "theirs": value_of(field), **{name: _theirs[name] for name in _PAID_BY}}
        named = (
            sa.select(*(column.label(name) for name, column in told_of.items()))
            .where(theirs_of(self._carrier), has_bad(field))
            .subquery()
        )
        greatest = (sa.func.max(named.c[name]).label(name) for name in ("theirs", *_PAID_BY))
        bad = sa.select(named.c.iccid, *greatest).group_by(named.c.iccid).subquery()
        facts = Facts(ours=sa.null(), theirs=bad.c.status, pending=sa.false())
        # One whose ICCID is bad is in use and nobody can say whose it is: it costs what an unknown one does.
        is_nameless = sa.and_(sa.literal(field == "iccid"), bad.c.iccid.startswith(BY_ID), is_not_ours(bad.c.iccid))
        plan = sa.case((is_nameless, self._billed(bad.c.status, sa.null(), bad.c.rate_plan)))
        told = self._telling(Kind.QUALITY, facts, bad.c.iccid, _NOTHING, bad.c.theirs, plan=plan, field=field)
        self._write(Kind.QUALITY, told, field)

    def find_elsewhere(self) -> None:
        """Find SIMs that are at this carrier and should be, or are too, at another one."""
        said = placements.c
        facts = Facts(ours=said.our_status, theirs=there.c.status, pending=_is_pending())
        for kind in (Kind.WRONG_CARRIER, Kind.DUPLICATE_ICCID):
            is_known = kind is Kind.WRONG_CARRIER
            plan = self._billed(there.c.status, said.our_status, there.c.rate_plan, untold_is_known=is_known)
            told = self._telling(kind, facts, there.c.iccid, said.ours, said.theirs, plan=plan)
            is_said = sa.and_(said.carrier == self._carrier, said.placement == kind.value, said.iccid == there.c.iccid)
            self._write(kind, told.where(is_said))

    def find_twins(self) -> None:
        """Find ICCIDs that the carrier has under several ids, all of them seen by the last walk."""
        here = sa.and_(theirs_of(self._carrier), _theirs.absent_since.is_(None), _theirs.iccid.is_not(None))
        both = sa.func.min(_theirs.sim_id) + sa.literal(", ", sa.Text()) + sa.func.max(_theirs.sim_id)
        ids = sa.select(_theirs.iccid, both.label("ids")).where(here, twins.c.iccid == _theirs.iccid)
        of_twins = ids.group_by(_theirs.iccid).having(sa.func.count() > 1).subquery()
        facts = Facts(ours=sa.null(), theirs=there.c.status, pending=_is_pending())
        told = self._telling(Kind.DUPLICATE_ICCID, facts, there.c.iccid, _NOTHING, of_twins.c.ids, field="sim_id")
        self._write(Kind.DUPLICATE_ICCID, told.where(of_twins.c.iccid == there.c.iccid), "sim_id")

    def find_mismatches(self, fields: Sequence[str]) -> None:
        """Find fields that both sides tell differently."""
        # One pass over all pairs, then one a field over the few that differ at all.
        _differing.create(self._connection)
        differs = sa.or_(*(_differ(name) for name in fields))
        both = sa.select(pairs.c.iccid, pairs.c.their_iccid).where(_are_both_of(pairs), differs)
        self._connection.execute(_differing.insert().from_select(["iccid", "their_iccid"], both))
        analyzed(self._connection, _differing)
        for name in dict.fromkeys(fields):
            self._find_mismatch(name)
        _differing.drop(self._connection)

    def _find_mismatch(self, name: str) -> None:
        facts = Facts(ours=ours.c.status, theirs=there.c.status, pending=_is_pending())
        plan: sa.ColumnElement[Any] = _NOTHING
        if name == "status":
            told_plan = sa.func.coalesce(there.c.rate_plan, ours.c.rate_plan)
            plan = self._billed(there.c.status, ours.c.status, told_plan)
        told = self._telling(Kind.MISMATCH, facts, ours.c.iccid, ours.c[name], there.c[name], plan=plan, field=name)
        self._write(Kind.MISMATCH, told.where(_are_both_of(_differing), _differ(name)), name)

    def find_changed_profiles(self) -> None:
        """Find SIMs that were matched by their EID although their ICCIDs are two."""
        facts = Facts(ours=ours.c.status, theirs=there.c.status, pending=_is_pending())
        told = self._telling(Kind.MISMATCH, facts, ours.c.iccid, ours.c.iccid, there.c.iccid, field="iccid")
        self._write(Kind.MISMATCH, told.where(_are_both_of(pairs), changed_profiles()), "iccid")

    def find_unlisted_words(self) -> None:
        """Find status words without a place in the lifecycle."""
        for word in unlisted_words(self._connection, self._carrier):
            self._find_general(word)

    def _find_general(self, finding: GeneralFinding) -> None:
        nobody = Facts(ours=sa.null(), theirs=sa.null(), pending=sa.false())
        said = (sa.literal(value, sa.Text()) for value in (finding.name, finding.ours, finding.theirs))
        self._write(Kind.QUALITY, self._telling(Kind.QUALITY, nobody, *said, field=finding.field), finding.field)

    def _billed(
        self,
        theirs: sa.ColumnElement[Any],
        mine: sa.ColumnElement[Any],
        plan: sa.ColumnElement[Any],
        *,
        untold_is_known: bool = False,
    ) -> sa.ColumnElement[Any]:
        return billed_plan(self._rules.prices, theirs=theirs, ours=mine, plan=plan, untold_is_known=untold_is_known)

    def _telling(
        self,
        kind: Kind,
        facts: Facts,
        *said: sa.ColumnElement[Any],
        plan: sa.ColumnElement[Any] = _NOTHING,
        field: str = "",
    ) -> sa.Select[Any]:
        """Return the query of what is found: its ICCID and both values as `said`, severity, advice, and billed plan."""
        severity, advice = severity_of(kind, facts, field=field), advice_of(kind, facts, field=field)
        columns = dict(zip(("iccid", "ours", "theirs"), said, strict=True)) | {"severity": severity, "advice": advice}
        columns["plan"] = plan
        return sa.select(*(column.label(name) for name, column in columns.items()))

    def _write(self, kind: Kind, query: sa.Select[Any], field: str = "") -> None:
        rows = query.subquery()
        severity = overruled(rows.c.severity, self._rules.severity, rows, kind.value, field)
        told = [rows.c[name] for name in ("iccid", "ours", "theirs")]
        units = units_of(self._rules.prices, rows.c.plan)
        said = sa.select(
            *(sa.literal(kind.value, sa.Text()), sa.literal(field, sa.Text()), *told, severity, rows.c.advice, units)
        ).select_from(rows.outerjoin(plan_prices, plan_prices.c.plan == rows.c.plan))
        columns = ["kind", "field", "iccid", "ours", "theirs", "severity", "advice", "units"]
        self._connection.execute(found.insert().from_select(columns, said))


def _are_both_of(matches: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(ours.c.iccid == matches.c.iccid, there.c.iccid == matches.c.their_iccid)


def _is_pending() -> sa.ColumnElement[bool]:
    return there.c.pending == "true"


def _differ(name: str) -> sa.ColumnElement[bool]:
    """Return whether both sides tell a field, and differently. A side that is NULL or empty does not tell."""
    mine, told = (sa.func.nullif(compared_form(name, side.c[name]), "") for side in (ours, there))
    return mine != told


def compared_form(name: str, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the form in which a value is compared: MSISDN and IMEI by what they name, all else as it is.

    A status that is `unknown` is not told: nobody knows what its word means.
    """
    match name:
        case "status":
            return sa.func.nullif(value, Lifecycle.UNKNOWN.value)
        case "msisdn":
            return _international_digits(value)
        case "imei":
            return _device(value)
        case _:
            return value


def _international_digits(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return an MSISDN's digits in international form.

    `+49 151 2345`, `0049151-2345` and `491512345` are one number (ITU-T E.164: the prefix is no part of it).
    """
    for mark in ("+", " ", "-", "(", ")", "/", "."):
        value = sa.func.replace(value, mark, "")
    return sa.case((sa.func.substr(value, 1, 2) == "00", sa.func.substr(value, 3)), else_=value)


def _device(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return what an IMEI says of the device: its first 14 digits.

    A check digit or the two digits of the software version follow (3GPP TS 23.003, 6.2); networks tell the latter.
    """
    return sa.case((sa.func.length(value).between(14, 16), sa.func.substr(value, 1, 14)), else_=value)


# The other forms of an ICCID (`core.pages`) in SQL, as values that an index looks up.


def other_forms_of(iccid: sa.ColumnElement[Any]) -> Sequence[sa.ColumnElement[Any]]:
    """Return the other forms of an ICCID; NULL where it has none."""
    digits = sa.func.length(iccid)
    longer = [sa.case((digits == WITHOUT_CHECK_DIGIT, iccid + digit)) for digit in DIGITS]
    shorter = sa.case((digits == WITHOUT_CHECK_DIGIT + 1, stem_of(iccid)))
    return [*longer, shorter]


# Open discrepancies under an ICCID whose form the carrier has changed: they stay the same, under the new form.
#
# A SIM that our list does not have is named by the carrier's ICCID. Without this, the finding would be resolved on
# the night on which the carrier begins to send the check digit, and another one opened: a new finding about an old
# thing.


_kept, _sims = sim_discrepancies.c, carrier_sims.c
_KIND = Kind.UNKNOWN_TO_US.value
_new = temporary_table("newly_unknown", "stem", "iccid", key=("stem", "iccid"))
_lost = temporary_table("no_longer_unknown", "stem", "iccid", key=("stem", "iccid"))
_renamed = temporary_table("renamed_unknown", "stem", "iccid", "now", key=("stem", "iccid"))


def follow_iccid_forms(connection: sa.Connection, carrier: str) -> None:
    """Bring open findings about SIMs that we do not know to the form in which `found` has their ICCIDs.

    Only where one finding and one SIM can be meant.
    """
    for table in (_new, _lost, _renamed):
        table.create(connection)
    if _fill_forms(connection, _new, _never_found(carrier)) and _fill_forms(connection, _lost, _not_found_now(carrier)):
        connection.execute(_renamed.insert().from_select(["stem", "iccid", "now"], _other_forms(carrier)))
        analyzed(connection, _renamed)
        # One form of an ICCID may have been found beside the other before: then nobody knows which of them is meant.
        stem = _renamed.alias("renamed").c.stem
        of_stem = sa.select(stem).where(_is_unknown(carrier), stem_of(_kept.iccid) == stem)
        several = of_stem.group_by(stem).having(sa.func.count() > 1)
        connection.execute(_renamed.delete().where(_renamed.c.stem.in_(several)))
        named = sim_discrepancies.update().where(_is_unknown(carrier), _kept.iccid == _renamed.c.iccid)
        connection.execute(named.values(iccid=_renamed.c.now))
    for table in (_new, _lost, _renamed):
        table.drop(connection)


def _fill_forms(connection: sa.Connection, table: sa.Table, iccids: sa.Select[Any]) -> bool:
    rows = iccids.subquery()
    forms = sa.func.length(rows.c.iccid).in_([WITHOUT_CHECK_DIGIT, WITHOUT_CHECK_DIGIT + 1])
    connection.execute(
        table.insert().from_select(["stem", "iccid"], sa.select(stem_of(rows.c.iccid), rows.c.iccid).where(forms))
    )
    analyzed(connection, table)
    return connection.execute(sa.select(table.c.stem).limit(1)).first() is not None


def _is_unknown(carrier: str) -> sa.ColumnElement[bool]:
    return sa.and_(_kept.carrier == carrier, _kept.kind == _KIND, _kept.field == "")


def _never_found(carrier: str) -> sa.Select[Any]:
    known = sa.exists().where(_is_unknown(carrier), _kept.iccid == found.c.iccid)
    return sa.select(found.c.iccid).where(found.c.kind == _KIND, found.c.field == "", ~known)


def _not_found_now(carrier: str) -> sa.Select[Any]:
    now = sa.exists().where(found.c.kind == _KIND, found.c.field == "", found.c.iccid == _kept.iccid)
    return sa.select(_kept.iccid).where(_is_unknown(carrier), _kept.resolved_at.is_(None), ~now)


def _other_forms(carrier: str) -> sa.Select[Any]:
    """Return the query of a finding's ICCID and the only one that is its other form, 19 digits and 20.

    One of the two is the id of the SIM: those that have ids of their carrier's own are told apart by these.
    """
    is_its_id = sa.exists().where(
        *(_sims.carrier == carrier, _sims.iccid == _new.c.iccid, _sims.sim_id.in_([_lost.c.iccid, _new.c.iccid]))
    )
    is_other = sa.and_(_new.c.stem == _lost.c.stem, sa.func.length(_new.c.iccid) != sa.func.length(_lost.c.iccid))
    forms = sa.select(_lost.c.stem, _lost.c.iccid, sa.func.min(_new.c.iccid)).where(is_other, is_its_id)
    return forms.group_by(_lost.c.stem, _lost.c.iccid).having(sa.func.count() == 1)
