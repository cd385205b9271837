"""The comparison, case by case: which SIM is which, what differs, how bad it is, and what is refused."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.discrepancies import COMPARABLE_FIELDS
from sim_sync.core.errors import InputError
from sim_sync.core.inventory import InventorySim
from sim_sync.core.sims import UNKNOWN_STATUS_FLAG, Lifecycle, Sim
from sim_sync.core.storable import canonical_json
from sim_sync.warehouse.bad_identifiers import MOST_SIMS
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.knowledge import Compared, compared_of
from sim_sync.warehouse.matching import MOST_WORDS
from sim_sync.warehouse.reconcile import reconcile
from sim_sync.warehouse.scratch import exact_digests
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.fleet import CARRIER, a_page
from sim_sync_tests.warehouse.databases import SqlUnderTest, rows_of
from sim_sync_tests.warehouse.store_under_test import committed, night, opened

STEM = "8988303000008013931"


def theirs(iccid: str | None = STEM, sim_id: str | None = None, **fields: Any) -> Sim:
    return Sim(sim_id=sim_id or f"id-{iccid}", iccid=iccid, iccid_raw=iccid, status="active")._replace(**fields)


def ours(iccid: str = STEM, carrier: str = CARRIER, **fields: Any) -> InventorySim:
    return InventorySim(carrier, iccid, iccid, status="active")._replace(**fields)


def compared(
    engine: sa.Engine,
    listed: Sequence[InventorySim],
    fleet: Sequence[Sim],
    fields: Sequence[str] = COMPARABLE_FIELDS,
) -> Mapping[tuple[str, str, str], tuple[str | None, str | None, str]]:
    """Load, walk and compare, and return what is open: kind, field and ICCID to ours, theirs and severity."""
    under_test = SqlUnderTest(engine)
    load_inventory(engine, CARRIER, listed, min_percent=0, now=under_test.clock.now())
    night(under_test, fleet)
    reconcile(engine, CARRIER, fields)
    return {
        (row["kind"], row["field"], row["iccid"]): (row["ours"], row["theirs"], row["severity"])
        for row in sorted(rows_of(engine, "sim_discrepancies"), key=lambda row: str(row["iccid"]))
        if row["resolved_at"] is None
    }


@pytest.mark.parametrize(
    ("our_form", "their_form"), [(STEM, STEM), (STEM + "1", STEM + "1"), (STEM, STEM + "1"), (STEM + "1", STEM)]
)
def test_a_sim_is_the_same_with_or_without_its_check_digit(engine: sa.Engine, our_form: str, their_form: str) -> None:
    assert compared(engine, [ours(our_form)], [theirs(their_form)]) == {}


@pytest.mark.parametrize(
    ("our_forms", "their_forms"),
    [
        ([STEM], [STEM + "1", STEM + "2"]),
        ([STEM + "1", STEM + "2"], [STEM]),
        ([STEM + "1"], [STEM + "2"]),
        ([STEM[:18]], [STEM]),
        ([STEM + "12"], [STEM + "1"]),
    ],
)
def test_nothing_is_matched_by_guess(engine: sa.Engine, our_forms: list[str], their_forms: list[str]) -> None:
    found = compared(engine, [ours(iccid) for iccid in our_forms], [theirs(iccid) for iccid in their_forms])
    assert {key[::2] for key in found} == {
        *(("missing_at_carrier", iccid) for iccid in our_forms),
        *(("unknown_to_us", iccid) for iccid in their_forms),
    }


@pytest.mark.parametrize("forms", [[STEM, STEM + "1", STEM + "1", STEM], [STEM + "1", STEM, STEM, STEM + "1"]])
def test_a_sim_that_we_do_not_know_is_one_finding_whichever_form_its_iccid_has(
    engine: sa.Engine, forms: list[str]
) -> None:
    under_test = SqlUnderTest(engine)
    for times, form in enumerate(forms, start=1):
        night(under_test, [theirs(form, sim_id=form), theirs("8988303000000000000")])
        counts = reconcile(engine, CARRIER, ["status"])
        assert counts.by_kind()["unknown_to_us"]["open"] == 2
        kept = {row["iccid"]: (row["times_seen"], row["resolved_at"]) for row in rows_of(engine, "sim_discrepancies")}
        assert kept == {form: (times, None), "8988303000000000000": (times, None)}


def test_findings_about_sims_with_ids_of_their_own_or_of_two_sims_are_not_confused(engine: sa.Engine) -> None:
    under_test, named = SqlUnderTest(engine), STEM[:-1] + "0"
    both = [theirs(named, sim_id=named), theirs(named + "7", sim_id=named + "7")]
    for fleet in ([theirs(STEM), both[0]], *[[theirs(STEM + "1"), *both]] * 3):
        night(under_test, fleet)
        reconcile(engine, CARRIER, ["status"])
    kept = {row["iccid"]: row["resolved_at"] is None for row in rows_of(engine, "sim_discrepancies")}
    assert kept == {STEM: False, STEM + "1": True, named: True, named + "7": True}


def test_a_whole_fleet_may_be_listed_in_the_other_form(engine: sa.Engine) -> None:
    stems = [f"8988303{number:012d}" for number in range(3_000)]
    found = compared(engine, [ours(stem) for stem in stems[:2_990]], [theirs(f"{stem}7") for stem in stems[10:]])
    assert {kind: [key[2] for key in found if key[0] == kind] for kind in ("missing_at_carrier", "unknown_to_us")} == {
        "missing_at_carrier": stems[:10],
        "unknown_to_us": [f"{stem}7" for stem in stems[2_990:]],
    }
    assert len(found) == 20


def test_the_same_form_goes_before_the_other_one(engine: sa.Engine) -> None:
    found = compared(engine, [ours(STEM), ours(STEM + "1")], [theirs(STEM + "1")])
    assert list(found) == [("missing_at_carrier", "", STEM)]


@pytest.mark.parametrize("days_ahead", [0, 3])
def test_two_sims_of_the_carrier_with_one_iccid_are_compared_once_by_the_one_that_came_last(
    engine: sa.Engine, days_ahead: int
) -> None:
    under_test = SqlUnderTest(engine)
    under_test.clock.advance(days_ahead * 86400)
    night(under_test, [theirs(sim_id="b", label="old")])
    under_test.clock.advance(-days_ahead * 86400)
    night(under_test, [theirs(sim_id="b", label="old, and changed since"), theirs(sim_id="a", label="new")])
    load_inventory(engine, CARRIER, [ours(label="ours")], now=under_test.clock.now())
    reconcile(engine, CARRIER, ["label"])
    found = {row["kind"]: (row["field"], row["theirs"]) for row in rows_of(engine, "sim_discrepancies")}
    assert found == {"mismatch": ("label", "new"), "duplicate_iccid": ("sim_id", "a, b")}


def test_of_two_sims_with_one_iccid_the_one_that_the_last_walk_missed_is_not_compared(engine: sa.Engine) -> None:
    under_test = SqlUnderTest(engine)
    night(under_test, [theirs(sim_id="old", label="old")])
    night(under_test, [theirs(sim_id="old", label="old"), theirs(sim_id="new", label="new")])
    night(under_test, [theirs(sim_id="old", label="old")])
    load_inventory(engine, CARRIER, [ours(label="ours")], now=under_test.clock.now())
    reconcile(engine, CARRIER, ["label"])
    assert [(row["kind"], row["theirs"]) for row in rows_of(engine, "sim_discrepancies")] == [("mismatch", "old")]


def test_a_sim_of_the_carrier_without_an_iccid_is_unknown_by_its_id(engine: sa.Engine) -> None:
    assert compared(engine, [ours()], [theirs(), theirs(None, sim_id="42")]) == {
        ("unknown_to_us", "", "sim_id:42"): (None, "active", "high")
    }


@pytest.mark.parametrize("field", [name for name in COMPARABLE_FIELDS if name != "status"])
@pytest.mark.parametrize(("mine", "told"), [("x", None), (None, "x"), ("x", ""), ("", "x"), (None, None), ("x", "x")])
def test_a_field_differs_only_where_both_sides_tell_it(
    engine: sa.Engine, field: str, mine: str | None, told: str | None
) -> None:
    assert compared(engine, [ours(**dict[str, Any]({field: mine}))], [theirs(**{field: told})]) == {}


@pytest.mark.parametrize("field", COMPARABLE_FIELDS)
def test_a_field_that_differs_is_found_with_both_values(engine: sa.Engine, field: str) -> None:
    found = compared(engine, [ours(**{field: "suspended"})], [theirs(**{field: "inventory"})])
    assert {key: value[:2] for key, value in found.items()} == {("mismatch", field, STEM): ("suspended", "inventory")}


def test_a_field_that_is_not_asked_for_is_not_compared(engine: sa.Engine) -> None:
    assert compared(engine, [ours(imsi="1", label="a")], [theirs(imsi="2", label="b")], fields=["label"]).keys() == {
        ("mismatch", "label", STEM)
    }
    assert compared(engine, [ours(imsi="1", label="a")], [theirs(imsi="2", label="b")], fields=[]) == {}


@pytest.mark.parametrize("form", ["+491512345", "00491512345", "49 151 2345", "49-151/2345", "+49 (151) 23.45"])
def test_a_phone_number_is_compared_by_its_digits(engine: sa.Engine, form: str) -> None:
    assert compared(engine, [ours(msisdn=form)], [theirs(msisdn="491512345")]) == {}
    assert len(compared(engine, [ours(msisdn=form)], [theirs(msisdn="491512346")])) == 1


@pytest.mark.parametrize("theirs_form", ["352099001761481", "35209900176148", "3520990017614807", "3520990017614899"])
def test_a_device_is_compared_by_the_14_digits_that_name_it(engine: sa.Engine, theirs_form: str) -> None:
    assert compared(engine, [ours(imei="352099001761481")], [theirs(imei=theirs_form)], fields=["imei"]) == {}
    assert len(compared(engine, [ours(imei="352099001761491")], [theirs(imei=theirs_form)], fields=["imei"])) == 1
    assert len(compared(engine, [ours(imei="3520990")], [theirs(imei=theirs_form)], fields=["imei"])) == 1


@pytest.mark.parametrize("pending", [True, False])
def test_a_status_that_nobody_can_name_is_not_told(engine: sa.Engine, *, pending: bool) -> None:
    assert compared(engine, [ours()], [theirs(status="unknown", pending=pending)]) == {}


def unlisted(number: int, word: str) -> Sim:
    """Return a SIM with a status word that the connector does not list."""
    flags = canonical_json([UNKNOWN_STATUS_FLAG])
    iccid = f"8988303{number:012d}"
    return theirs(iccid, status="unknown", carrier_status=word, quality_flags=flags)


def test_a_status_word_that_nobody_has_listed_is_one_finding_however_many_sims_have_it(engine: sa.Engine) -> None:
    fleet = [unlisted(number, "NEW") for number in range(1200)] + [unlisted(1200, "ODD"), theirs(label="b")]
    listed = [ours(str(sim.iccid), label="a") for sim in fleet]
    assert compared(engine, listed, fleet, fields=["status", "label"]) == {
        ("quality", "carrier_status", "word:NEW"): (None, "1,200 SIMs have the unlisted word NEW", "medium"),
        ("quality", "carrier_status", "word:ODD"): (None, "1 SIM has the unlisted word ODD", "medium"),
        ("mismatch", "label", STEM): ("a", "b", "low"),
    }


def test_a_carrier_with_another_word_for_each_sim_is_a_few_findings(engine: sa.Engine) -> None:
    fleet = [unlisted(number, f"word {number:03d}") for number in range(100)]
    found = compared(engine, [ours(str(sim.iccid)) for sim in fleet], fleet)
    assert len(found) == MOST_WORDS
    assert found["quality", "carrier_status", "words:others"][1] == (
        f"{101 - MOST_WORDS} SIMs have one of {101 - MOST_WORDS} more unlisted words"
    )


def test_a_word_of_ours_that_nobody_has_listed_is_one_finding_too(engine: sa.Engine) -> None:
    fleet = [theirs(f"8988303{number:012d}") for number in range(30)]
    assert compared(engine, [ours(str(sim.iccid), status="unknown") for sim in fleet], fleet) == {
        ("quality", "status", "word:unknown"): (
            "30 SIMs have a status word that our list's `statuses` do not name",
            None,
            "medium",
        )
    }


def test_an_unlisted_word_is_no_finding_where_no_status_is_compared(engine: sa.Engine) -> None:
    assert compared(engine, [ours("8988303000000000000")], [unlisted(0, "NEW")], fields=["label"]) == {}


def test_a_finding_about_a_word_is_resolved_when_the_word_is_listed(engine: sa.Engine) -> None:
    under_test = SqlUnderTest(engine)
    iccid = str(unlisted(0, "NEW").iccid)
    load_inventory(engine, CARRIER, [ours(iccid, status="inventory")], now=under_test.clock.now())
    for word in (unlisted(0, "NEW"), theirs(iccid, status="inventory", carrier_status="NEW")):
        night(under_test, [word])
        counts = reconcile(engine, CARRIER, ["status"]).by_kind()["quality"]
    assert counts == {"opened": 0, "seen_again": 0, "resolved": 1, "open": 0}


_SEVERITIES = [
    ("missing_at_carrier", "active", None, "high"),
    ("missing_at_carrier", "terminated", None, "low"),
    ("missing_at_carrier", "suspended", None, "medium"),
    ("missing_at_carrier", None, None, "medium"),
    ("unknown_to_us", None, "active", "high"),
    ("unknown_to_us", None, "inventory", "low"),
    ("unknown_to_us", None, "replaced", "low"),
    ("unknown_to_us", None, "suspended", "medium"),
    ("mismatch", "active", "terminated", "high"),
    ("mismatch", "deactivated", "active", "high"),
    ("mismatch", "active", "suspended", "medium"),
]


@pytest.mark.parametrize(("kind", "mine", "told", "severity"), _SEVERITIES)
def test_a_discrepancy_is_as_bad_as_what_it_costs(
    engine: sa.Engine, kind: str, mine: str | None, told: str | None, severity: str
) -> None:
    listed = [] if kind == "unknown_to_us" else [ours(status=mine)]
    fleet = [] if kind == "missing_at_carrier" else [theirs(status=told)]
    ((key, found),) = compared(engine, listed, fleet).items()
    assert (key[0], found[2]) == (kind, severity)


@pytest.mark.parametrize("status", [status.value for status in Lifecycle if status is not Lifecycle.ACTIVE])
def test_a_mismatch_that_the_carrier_is_about_to_end_can_wait(engine: sa.Engine, status: str) -> None:
    found = compared(engine, [ours()], [theirs(status=status, pending=True)])
    assert {value[2] for value in found.values()} <= {"low"}
    assert bool(found) == (status != "unknown")


def test_a_sim_that_is_missed_once_is_not_missing_yet_and_one_that_has_vanished_is(engine: sa.Engine) -> None:
    assert compared(engine, [ours()], [theirs(), theirs(STEM[:-1] + "9")], fields=[]).keys() == {
        ("unknown_to_us", "", STEM[:-1] + "9")
    }
    other = [theirs(STEM[:-1] + "9")]
    under_test = SqlUnderTest(engine)
    under_test.clock.advance(10_000)
    night(under_test, other)
    reconcile(engine, CARRIER, [])
    assert _open(engine) == [("unknown_to_us", STEM[:-1] + "9")]
    night(under_test, other)
    reconcile(engine, CARRIER, [])
    assert _open(engine) == [("missing_at_carrier", STEM), ("unknown_to_us", STEM[:-1] + "9")]
    night(under_test, [theirs(), *other])
    reconcile(engine, CARRIER, [])
    assert _open(engine) == [("unknown_to_us", STEM[:-1] + "9")]


def _open(engine: sa.Engine) -> list[tuple[str, str]]:
    rows = rows_of(engine, "sim_discrepancies")
    return sorted((row["kind"], row["iccid"]) for row in rows if row["resolved_at"] is None)


def test_carriers_are_compared_each_for_itself(engine: sa.Engine) -> None:
    under_test = SqlUnderTest(engine)
    load_inventory(engine, "other", [ours(carrier="other")], now=START)
    session = opened(under_test, carrier="other")
    session = committed(under_test, session, a_page([theirs(STEM + "5")]))
    before = exact_digests(engine)["inventory_sims"]
    night(under_test, [theirs()])
    counts = reconcile(engine, CARRIER, COMPARABLE_FIELDS)
    assert {row["carrier"] for row in rows_of(engine, "sim_discrepancies")} == {CARRIER}
    assert counts.by_kind()["unknown_to_us"]["open"] == 1
    assert exact_digests(engine)["inventory_sims"] == before


def test_a_carrier_that_was_never_walked_to_its_end_is_not_compared(engine: sa.Engine) -> None:
    under_test = SqlUnderTest(engine)
    load_inventory(engine, CARRIER, [ours()], now=START)
    committed(under_test, opened(under_test), a_page([theirs()], {"page": 1}))
    before = exact_digests(engine)
    with pytest.raises(InputError, match=r"never walked to its end.*run `sim-sync backfill acme` first"):
        reconcile(engine, CARRIER, COMPARABLE_FIELDS)
    assert exact_digests(engine) == before


def test_a_field_that_nobody_has_is_refused(engine: sa.Engine) -> None:
    with pytest.raises(InputError, match="cannot compare colour, iccid: expected some of status, msisdn, imsi, imei"):
        reconcile(engine, CARRIER, ["status", "colour", "iccid"])


def test_a_list_that_changes_by_day_is_compared_as_of_its_loading(engine: sa.Engine) -> None:
    under_test = SqlUnderTest(engine)
    night(under_test, [theirs()])
    loaded_at = under_test.clock.advance(600)
    load_inventory(engine, CARRIER, [ours(label="a")], now=loaded_at)
    assert reconcile(engine, CARRIER, ["label"]).as_of == loaded_at
    removed_at = under_test.clock.advance(600)
    load_inventory(engine, CARRIER, [], min_percent=0, now=removed_at)
    counts = reconcile(engine, CARRIER, ["label"])
    assert (counts.as_of, counts.by_kind()["unknown_to_us"]["opened"]) == (removed_at, 1)


@pytest.mark.parametrize("days_ahead", [0, 3, -3])
def test_what_is_new_is_counted_whatever_the_clock_said_when_it_came(engine: sa.Engine, days_ahead: int) -> None:
    under_test = SqlUnderTest(engine)
    under_test.clock.advance(days_ahead * 86400)
    load_inventory(engine, CARRIER, [ours(label="a")], now=under_test.clock.now())
    night(under_test, [theirs(label="b")])
    first = reconcile(engine, CARRIER, ["label"]).as_of
    under_test.clock.advance(-days_ahead * 86400)
    walked_at = night(under_test, [theirs(label="b")]).finished_at
    assert reconcile(engine, CARRIER, ["label"]).as_of == walked_at
    loaded_at = under_test.clock.advance(60)
    load_inventory(engine, CARRIER, [ours(label="c")], now=loaded_at)
    assert reconcile(engine, CARRIER, ["label"]).as_of == loaded_at
    (row,) = rows_of(engine, "sim_discrepancies")
    assert (row["times_seen"], row["first_seen_at"], row["last_seen_at"]) == (3, first, loaded_at)
    assert (row["first_comparison_number"], row["last_comparison_number"]) == (1, 3)


def test_a_comparison_of_what_was_compared_already_corrects_and_does_not_count_again(engine: sa.Engine) -> None:
    under_test = SqlUnderTest(engine)
    load_inventory(engine, CARRIER, [ours(label="a", imsi="1")], now=START)
    night(under_test, [theirs(label="b", imsi="2")])
    as_of = reconcile(engine, CARRIER, ["label"]).as_of
    before = exact_digests(engine)
    assert reconcile(engine, CARRIER, ["label"]).as_of == as_of
    assert exact_digests(engine) == before
    assert reconcile(engine, CARRIER, ["imsi"]).as_of == as_of  # other fields are asked for; nothing else is new
    rows = {row["field"]: row for row in rows_of(engine, "sim_discrepancies")}
    assert rows["label"]["resolved_at"] == as_of
    assert (rows["imsi"]["times_seen"], rows["imsi"]["last_comparison_number"]) == (1, 1)


def test_what_is_new_since_the_last_comparison_is_told(engine: sa.Engine) -> None:
    under_test = SqlUnderTest(engine)
    assert compared_of(engine, [CARRIER]) == {CARRIER: Compared(None, walk_is_newer=False, list_is_newer=False)}
    load_inventory(engine, CARRIER, [ours()], now=START)
    walked_at = night(under_test, [theirs()]).finished_at
    assert compared_of(engine, [CARRIER]) == {CARRIER: Compared(None, walk_is_newer=True, list_is_newer=True)}
    reconcile(engine, CARRIER, ["label"])
    assert compared_of(engine, [CARRIER]) == {CARRIER: Compared(walked_at, walk_is_newer=False, list_is_newer=False)}
    load_inventory(engine, CARRIER, [ours()], now=START)
    assert not compared_of(engine, [CARRIER])[CARRIER].list_is_newer
    night(under_test, [theirs()])
    assert compared_of(engine, [CARRIER]) == {CARRIER: Compared(walked_at, walk_is_newer=True, list_is_newer=False)}


def flagged(number: int, *flags: str, **fields: Any) -> Sim:
    return theirs(f"8988303{number:012d}", quality_flags=canonical_json(sorted(flags)), **fields)


def test_an_identifier_that_cannot_be_one_is_a_finding_and_a_wrong_check_digit_is_none(engine: sa.Engine) -> None:
    fleet = [
        flagged(1, "imsi_length", imsi="12"),
        flagged(2, "iccid_check_digit", "imei_check_digit"),
        flagged(3, "eid_malformed", "msisdn_length", eid="x", msisdn="+1"),
    ]
    assert compared(engine, [ours(str(sim.iccid)) for sim in fleet], fleet, fields=["status"]) == {
        ("quality", "imsi", str(fleet[0].iccid)): (None, "12", "low"),
        ("quality", "eid", str(fleet[2].iccid)): (None, "x", "low"),
        ("quality", "msisdn", str(fleet[2].iccid)): (None, "+1", "low"),
    }


def test_a_sim_whose_iccid_cannot_be_one_is_quality_and_not_unknown(engine: sa.Engine) -> None:
    bad = theirs(None, sim_id="7", quality_flags=canonical_json(["iccid_malformed"]))._replace(iccid_raw="12AB")
    assert compared(engine, [ours()], [theirs(), bad]) == {("quality", "iccid", "sim_id:7"): (None, "12AB", "medium")}


def test_very_many_bad_identifiers_of_one_sort_are_one_finding(engine: sa.Engine) -> None:
    fleet = [flagged(number, "imsi_length", imsi="12") for number in range(MOST_SIMS + 1)]
    assert compared(engine, [ours(str(sim.iccid)) for sim in fleet], fleet) == {
        ("quality", "imsi", "flag:imsi"): (None, "101 SIMs have a bad IMSI", "low")
    }
