"""What a record may bring, and what becomes of it: identifiers in every form, odd values, secrets, no SIM at all."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.carriers.json_bodies import read_json
from sim_sync.carriers.messages import Response
from sim_sync.carriers.records import RecordMap, list_at, parse_time
from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.identifiers import luhn_is_valid
from sim_sync.core.pages import diff_page
from sim_sync.core.sims import Lifecycle, Sim, StatusMeaning, StatusWords
from sim_sync.core.storable import is_storable
from sim_sync_tests.carriers.walking import iccid
from sim_sync_tests.fakes.clock import START

WORDS = StatusWords({"on": StatusMeaning(Lifecycle.ACTIVE), "off": StatusMeaning(Lifecycle.SUSPENDED)})
MAP = RecordMap(
    fields={
        "sim_id": "id",
        "iccid": "iccid",
        "imsi": "imsi",
        "msisdn": "msisdn",
        "imei": "device.imei",
        "eid": "eid",
        "status": "state",
        "label": "name",
        "activated_at": "since",
    },
    statuses=WORDS,
    ignored=frozenset({"url"}),
)
KEYED_BY_ICCID = RecordMap(fields={"iccid": "iccid", "status": "state"}, statuses=WORDS)

#: Every character, lone surrogates and NUL too: JSON can hold them all.
ANY = st.characters(exclude_categories=[])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(ANY, max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(ANY, max_size=8), inner, max_size=3),
    max_leaves=8,
)


def read(**record: Any) -> Sim:
    return MAP.read({"id": "s1", "iccid": iccid(1), **record})


def flags(sim: Sim) -> list[str]:
    found: list[str] = json.loads(sim.quality_flags)
    return found


def attributes(sim: Sim) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sim.attributes)
    return found


class TestIdentifiers:
    @pytest.mark.parametrize(
        ("value", "normal", "raw"),
        [
            ("89883070000123456789", "89883070000123456789", "89883070000123456789"),
            (89883070000123456789, "89883070000123456789", "89883070000123456789"),
            ("8944 4765 0000 8878 576F", "8944476500008878576", "8944 4765 0000 8878 576F"),
            ("8988303000008013931", "8988303000008013931", "8988303000008013931"),
        ],
    )
    def test_an_iccid_survives_every_form_in_which_it_is_sent(self, value: Any, normal: str, raw: str) -> None:
        sim = MAP.read(json.loads(json.dumps({"id": 1, "iccid": value})))
        assert (sim.iccid, sim.iccid_raw) == (normal, raw)

    @pytest.mark.parametrize("value", [8.988307e19, True, ["89"], {"iccid": "89"}])
    def test_what_has_lost_digits_is_no_iccid_but_is_shown(self, value: Any) -> None:
        sim = read(iccid=value)
        assert (sim.iccid, flags(sim)) == (None, ["iccid_malformed"])
        assert sim.iccid_raw == json.dumps(value, separators=(",", ":"))

    def test_a_wrong_check_digit_is_a_flag(self) -> None:
        assert flags(read(iccid="89883030001234567890")) == ["iccid_check_digit"]
        assert flags(read(iccid=iccid(7))) == []

    @pytest.mark.parametrize("rounded", [89883070000000008192, 89883070000123460000, 8988307000000000000])
    def test_a_whole_iccid_whose_digits_a_float_has_made_is_flagged(self, rounded: int) -> None:
        assert flags(read(iccid=str(rounded))) == ["iccid_check_digit", "iccid_rounded"]
        assert "iccid_rounded" in flags(read(iccid=rounded))

    def test_a_right_check_digit_speaks_for_an_iccid_that_is_text(self) -> None:
        rounded = next(number for number in range(89883070000000008192, 10**20, 16384) if luhn_is_valid(str(number)))
        assert flags(read(iccid=str(rounded))) == []
        assert flags(read(iccid=rounded)) == ["iccid_rounded"]

    def test_a_record_may_have_no_iccid_where_it_has_another_id(self) -> None:
        for value in (None, "", "  "):
            sim = read(iccid=value)
            assert (sim.iccid, sim.iccid_raw, flags(sim)) == (None, None, ["iccid_missing"])

    def test_what_was_sent_is_kept_where_the_normal_form_differs(self) -> None:
        sim = read(msisdn="+49 151 23456789", imsi="901405-100000018", device={"imei": "35-209900-176148-1"})
        assert (sim.msisdn, sim.imsi, sim.imei) == ("+4915123456789", "901405100000018", "352099001761481")
        assert attributes(sim)["as_sent"] == {
            "msisdn": "+49 151 23456789",
            "imsi": "901405-100000018",
            "imei": "35-209900-176148-1",
        }

    def test_a_plus_sign_that_is_put_before_the_same_digits_is_no_difference(self) -> None:
        sim = read(msisdn="882285100000018")
        assert (sim.msisdn, sim.attributes) == ("+882285100000018", "{}")

    def test_odd_identifiers_are_kept_and_flagged(self) -> None:
        sim = read(imsi="310410999999999999", msisdn="0151", eid="89049011803455664400046832584675")
        assert (sim.imsi, sim.msisdn, sim.eid) == ("310410999999999999", "0151", "89049011803455664400046832584675")
        assert flags(sim) == ["eid_check_digits", "imsi_length", "msisdn_national"]

    def test_an_identifier_that_is_a_structure_is_flagged_and_kept_beside(self) -> None:
        sim = read(imsi=[1, 2])
        assert (sim.imsi, flags(sim)) == (None, ["imsi_malformed"])
        assert attributes(sim)["as_sent"] == {"imsi": "[1,2]"}

    @given(st.integers(10**17, 10**20 - 1))
    def test_a_json_number_keeps_all_its_digits(self, number: int) -> None:
        sim = MAP.read(json.loads(f'{{"id": {number}, "iccid": {number}, "imsi": {number}}}'))
        assert {sim.sim_id, sim.iccid, sim.imsi} == {str(number)}

    def test_an_imei_with_leading_zeros_keeps_them(self) -> None:
        assert read(device={"imei": "004999010640000"}).imei == "004999010640000"


class TestIds:
    def test_without_an_id_of_its_own_the_normal_iccid_is_the_id(self) -> None:
        assert KEYED_BY_ICCID.read({"iccid": "8944 4765 0000 8878 576F"}).sim_id == "8944476500008878576"

    def test_an_odd_iccid_is_still_an_id(self) -> None:
        sim = KEYED_BY_ICCID.read({"iccid": "8944A"})
        assert (sim.sim_id, sim.iccid, flags(sim)) == ("8944A", None, ["iccid_malformed"])

    @pytest.mark.parametrize("value", [None, "", 8.9e19, False, {}])
    def test_an_iccid_that_is_none_is_no_id(self, value: Any) -> None:
        sims, rejected = KEYED_BY_ICCID.read_page([{"iccid": value, "state": "on"}])
        assert sims == []
        assert len(rejected) == 1

    @pytest.mark.parametrize(
        ("record", "reason"),
        [
            ({}, "expected an id in `sim_id`, found none"),
            ({"id": None}, "expected an id in `sim_id`, found none"),
            ({"id": " "}, "expected an id in `sim_id`, found none"),
            ({"id": 1.5}, "expected text or a whole number, found float"),
            ({"id": {"a": 1}}, "expected text or a whole number, found dict"),
            (None, "expected an object, found NoneType"),
            ("id=7", "expected an object, found str"),
            (7, "expected an object, found int"),
            ([{"id": "7"}], "expected an object, found list"),
        ],
    )
    def test_what_cannot_be_a_sim_is_put_aside_with_its_reason_and_place(self, record: Any, reason: str) -> None:
        sims, rejected = MAP.read_page([{"id": "a"}, record, {"id": "b"}])
        assert [sim.sim_id for sim in sims] == ["a", "b"]
        assert [(one.position, one.reason) for one in rejected] == [(1, reason)]
        assert json.loads(rejected[0].payload) == record

    def test_a_map_without_an_id_is_refused_when_it_is_made(self) -> None:
        with pytest.raises(ValueError, match="a record needs an id"):
            RecordMap(fields={"status": "state"}, statuses=WORDS)
        with pytest.raises(ValueError, match="no such fields of a SIM: icc, state"):
            RecordMap(fields={"sim_id": "id", "state": "state", "icc": "x"}, statuses=WORDS)

    def test_a_connector_that_trips_over_a_record_puts_it_aside(self) -> None:
        tripping = RecordMap(fields={"sim_id": "id", "label": lambda record: record["name"].upper()}, statuses=WORDS)
        sims, rejected = tripping.read_page([{"id": 1, "name": "a"}, {"id": 2, "name": 7}, {"id": 3}])
        assert [sim.label for sim in sims] == ["A"]
        assert [one.reason for one in rejected] == [
            "expected a record as the carrier documents it, found another shape (AttributeError)",
            "expected a record as the carrier documents it, found another shape (KeyError)",
        ]


class TestOtherValues:
    @pytest.mark.parametrize(
        ("value", "word", "status", "flag"),
        [
            ("on", "on", "active", []),
            ("ON", "ON", "active", []),
            ("asleep", "asleep", "unknown", ["unknown_status"]),
            ("", None, "unknown", []),
            (None, None, "unknown", []),
            (3, "3", "unknown", ["unknown_status"]),
            (True, "true", "unknown", ["unknown_status"]),
            ({"on": 1}, '{"on":1}', "unknown", ["unknown_status"]),
        ],
    )
    def test_an_unlisted_word_is_unknown_counted_and_kept(
        self, value: Any, word: str | None, status: str, flag: list[str]
    ) -> None:
        sim = read(state=value)
        assert (sim.carrier_status, sim.status, flags(sim)) == (word, status, flag)

    def test_words_may_be_given_again(self) -> None:
        words = WORDS.overridden_by({"asleep": StatusMeaning(Lifecycle.SUSPENDED, pending=True)})
        sim = replace(MAP, statuses=words).read({"id": 1, "state": "asleep"})
        assert (sim.status, sim.pending) == ("suspended", True)

    def test_a_time_that_is_none_is_flagged_and_kept_beside(self) -> None:
        sim = read(since="the other day")
        assert (sim.activated_at, flags(sim)) == (None, ["bad_time"])
        assert attributes(sim)["as_sent"] == {"activated_at": '"the other day"'}

    @pytest.mark.parametrize(
        ("value", "time"),
        [
            ("2019-07-30T20:00:00Z", datetime(2019, 7, 30, 20, tzinfo=UTC)),
            ("2018-03-09T07:59:09.000+0000", datetime(2018, 3, 9, 7, 59, 9, tzinfo=UTC)),
            ("2014-04-01T20:00:00-04:00", datetime(2014, 4, 2, tzinfo=UTC)),
            ("2018-02-02 22:25:27", datetime(2018, 2, 2, 22, 25, 27, tzinfo=UTC)),
            (1537953993, datetime(2018, 9, 26, 9, 26, 33, tzinfo=UTC)),
            (1537953993105, datetime(2018, 9, 26, 9, 26, 33, 105000, tzinfo=UTC)),
            ("1537953993", datetime(2018, 9, 26, 9, 26, 33, tzinfo=UTC)),
            (1537953993.5, datetime(2018, 9, 26, 9, 26, 33, 500000, tzinfo=UTC)),
            ("1537953993.25", datetime(2018, 9, 26, 9, 26, 33, 250000, tzinfo=UTC)),
            (1537953993105123, datetime(2018, 9, 26, 9, 26, 33, 105123, tzinfo=UTC)),
            ("1537953993105123456", datetime(2018, 9, 26, 9, 26, 33, 105123, tzinfo=UTC)),
            (1537953993105.0, datetime(2018, 9, 26, 9, 26, 33, 105000, tzinfo=UTC)),
            ("20250315", datetime(2025, 3, 15, tzinfo=UTC)),
            (20250315, datetime(2025, 3, 15, tzinfo=UTC)),
            ("202503151015", datetime(2025, 3, 15, 10, 15, tzinfo=UTC)),
            ("20250315101500", datetime(2025, 3, 15, 10, 15, tzinfo=UTC)),
            ("20250315101500123", datetime(2025, 3, 15, 10, 15, 0, 123000, tzinfo=UTC)),
            ("20250315T101500Z", datetime(2025, 3, 15, 10, 15, tzinfo=UTC)),
            ("20250315T101500+0200", datetime(2025, 3, 15, 8, 15, tzinfo=UTC)),
            ("2025-03-15", datetime(2025, 3, 15, tzinfo=UTC)),
            ("2025-03-15t10:15:00z", datetime(2025, 3, 15, 10, 15, tzinfo=UTC)),
            ("2025-03-15 10:15:00 UTC", datetime(2025, 3, 15, 10, 15, tzinfo=UTC)),
            ("2025-03-15T10:15:00.123456789Z", datetime(2025, 3, 15, 10, 15, 0, 123456, tzinfo=UTC)),
            ("2025-03-15T10:15:00+01:00[Europe/Berlin]", datetime(2025, 3, 15, 9, 15, tzinfo=UTC)),
            (" 2025-03-15T10:15:00Z ", datetime(2025, 3, 15, 10, 15, tzinfo=UTC)),
            ("Sat, 15 Mar 2025 10:15:00 GMT", datetime(2025, 3, 15, 10, 15, tzinfo=UTC)),
            ("15 Mar 2025 10:15 +0100", datetime(2025, 3, 15, 9, 15, tzinfo=UTC)),
            ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ],
    )
    def test_times_are_read_in_all_the_vendors_forms(self, value: Any, time: datetime) -> None:
        assert parse_time(value) == time

    @pytest.mark.parametrize(
        "value",
        [
            *(True, [], "", " ", "z", "yesterday", "0000-00-00 00:00:00", "44 BC", "\N{SUPERSCRIPT TWO}"),
            *(1e300, float("nan"), float("inf"), 10**30, "9" * 400, "9" * 5000, -1, 0),
            pytest.param(10**5000, id="5000 digits"),
            pytest.param("9999-12-31T23:59:59-01:00", id="out of the calendar when brought to UTC"),
            pytest.param("2016-12-31T23:59:60Z", id="a leap second"),
            pytest.param("15 Mar 2025 10:15:00 CET", id="a zone of no certain offset"),
            pytest.param("Sat, 15 Mar 25 10:15:00 GMT", id="a year of two digits"),
            pytest.param("03/04/2025", id="a month, or a day, first"),
            pytest.param("20250230", id="no day of the calendar"),
            pytest.param("250315", id="a date with a year of two digits"),
            pytest.param("250315101500", id="a time with a year of two digits"),
            pytest.param("2503151015", id="a year of two digits, or seconds"),
            pytest.param("2025031510", id="a date with an hour, or seconds"),
            pytest.param(638776533000000000, id="ticks since the year 1"),
        ],
    )
    def test_what_is_no_time_or_may_be_two_is_refused(self, value: Any) -> None:
        with pytest.raises((ValueError, OverflowError, OSError)):
            parse_time(value)

    @given(st.integers(950_000_000, 1_990_000_000), st.sampled_from([1, 10**3, 10**6, 10**9]))
    def test_a_time_in_any_unit_since_1970_is_that_time(self, seconds: int, unit: int) -> None:
        time, number = datetime.fromtimestamp(seconds, UTC), seconds * unit
        assert parse_time(number) == parse_time(str(number)) == time

    @given(st.integers(662_688_000, 4_102_444_799))
    def test_a_time_without_separators_is_that_time(self, seconds: int) -> None:
        time = datetime.fromtimestamp(seconds, UTC)
        assert parse_time(f"{time:%Y%m%d%H%M%S}") == parse_time(int(f"{time:%Y%m%d%H%M%S}")) == time
        assert parse_time(f"{time:%Y%m%d}") == time.replace(hour=0, minute=0, second=0)

    @given(st.text(max_size=20) | st.integers() | st.floats() | st.text("0123456789", max_size=21))
    def test_a_time_is_read_or_refused_and_nothing_else(self, value: Any) -> None:
        sim = read(since=value)
        is_flagged = not {"bad_time", "activated_at_malformed"}.isdisjoint(flags(sim))
        assert (sim.activated_at is None) == (value == "" or is_flagged)

    def test_everything_else_is_kept_in_attributes(self) -> None:
        sim = read(name="a", url="https://a", plan={"id": 7}, tags=["x"])
        assert attributes(sim) == {"plan": {"id": 7}, "tags": ["x"]}

    def test_a_text_that_is_a_structure_is_kept_as_json(self) -> None:
        assert read(name={"de": "Zähler"}).label == '{"de":"Zähler"}'

    def test_the_later_record_of_a_sim_that_appears_twice_in_a_page_counts(self) -> None:
        sims, _ = MAP.read_page([{"id": "a", "state": "on"}, {"id": "a", "state": "off"}])
        diff = diff_page(sims, {}, START)
        assert [(upsert.sim.sim_id, upsert.sim.status) for upsert in diff.upserts] == [("a", "suspended")]


class TestNoNumbers:
    """NaN and infinite numbers: what programs write, though JSON has no such numbers, for what they do not have."""

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
    @pytest.mark.parametrize(
        ("name", "flag"),
        [
            ("imsi", "imsi_malformed"),
            ("name", "label_malformed"),
            ("state", "status_malformed"),
            ("since", "activated_at_malformed"),
            ("device", "imei_malformed"),
            ("iccid", "iccid_malformed"),
        ],
    )
    def test_in_a_field_of_ours_they_are_nothing_and_flagged(self, text: str, name: str, flag: str) -> None:
        value = f'{{"imei": {text}}}' if name == "device" else text
        sim = read(**read_json(f'{{"{name}": {value}}}'.encode(), ""))
        assert flags(sim) == [flag]
        assert getattr(sim, flag.removesuffix("_malformed")) in {None, "unknown"}

    def test_elsewhere_they_are_null(self) -> None:
        assert attributes(read(usage=float("nan"), deep=[{"x": float("-inf")}])) == {
            "usage": None,
            "deep": [{"x": None}],
        }

    @pytest.mark.parametrize("map_", [MAP, KEYED_BY_ICCID])
    def test_in_the_place_of_the_id_they_make_the_record_none(self, map_: RecordMap) -> None:
        sims, rejected = map_.read_page([{"id": float("nan"), "iccid": float("inf")}])
        assert (sims, [one.position for one in rejected]) == ([], [0])


class TestPaths:
    """A path may meet a value that it was not made for: one record in a thousand has a text where a number was."""

    FAILING: ClassVar = [
        pytest.param("usage[?@ > `5`] | [0]", [7, "7"], [], id="TypeError"),
        pytest.param("ceil(usage) && 'x'", float("inf"), 1.5, id="OverflowError"),
        pytest.param("contains(usage, `8`) && 'x'", "898", [], id="a number in a text"),
    ]

    @pytest.mark.parametrize(("path", "odd", "plain"), FAILING)
    def test_a_field_whose_path_fails_is_flagged_and_the_sim_is_kept(self, path: str, odd: Any, plain: Any) -> None:
        for name in ("label", "imsi", "iccid", "status", "activated_at"):
            map_ = RecordMap(fields={"sim_id": "id", name: path}, statuses=WORDS)
            sims, rejected = map_.read_page([{"id": 1, "usage": odd}, {"id": 2}])
            assert (len(sims), rejected) == (2, [])
            assert [f"{name}_malformed" in flags(sim) for sim in sims] == [True, False]
            assert getattr(sims[0], name) in {None, "unknown"}

    @pytest.mark.parametrize(("path", "odd", "plain"), FAILING)
    def test_an_id_whose_path_fails_puts_the_record_aside(self, path: str, odd: Any, plain: Any) -> None:
        map_ = RecordMap(fields={"sim_id": f"[{path}, id] | [1]"}, statuses=WORDS)
        sims, rejected = map_.read_page([{"id": "1", "usage": odd}, {"id": "2", "usage": plain}])
        assert [sim.sim_id for sim in sims] == ["2"]
        assert "an id in `sim_id`" in rejected[0].reason

    @pytest.mark.parametrize(
        ("path", "kept"),
        [
            ("sims[?usage > `0`]", [1, 2, 4]),
            ("sims[?starts_with(imsi, '23')]", [1, 2, 3]),
            ("sims[?contains(label, `8`)].{id: id}", [1, 2, 3, 4]),
            ("sims[?usage > `0`].id | [].{id: @}", [1, 2, 4]),
        ],
    )
    def test_a_record_whose_filter_fails_is_kept_for_it_must_not_look_gone(self, path: str, kept: list[int]) -> None:
        sims = [
            {"id": 1, "usage": 12, "imsi": "234", "label": "a8"},
            {"id": 2, "usage": "7", "imsi": None, "label": "8"},
            {"id": 3, "usage": 0, "imsi": "235", "label": "b"},
            {"id": 4, "usage": 1, "imsi": "310", "label": ""},
        ]
        found = list_at(path)(Response(status=200, headers={}, body={"sims": sims}))
        assert [record["id"] for record in found] == kept

    def test_a_list_whose_path_fails_otherwise_is_refused_with_the_path(self) -> None:
        response = Response(status=200, headers={}, body={"sims": [], "usage": float("inf")})
        with pytest.raises(UnexpectedResponse, match=r"the path 'ceil\(usage\)' cannot be applied .*\(OverflowError\)"):
            list_at("ceil(usage)")(response)


class TestSecrets:
    SECRETS: ClassVar = {
        "pin": "1111",
        "puk": "22222222",
        "pin1": "3333",
        "puk_2": "44444444",
        "arcClientPeerPrivateKey": "private",
        "pin_puk_codes": {"pin": "5555"},
        "password": "pass",
        "deep": [{"er": {"puk": "66666666", "kept": "kept"}}],
    }

    def test_none_of_them_is_stored_at_any_depth(self) -> None:
        sims, rejected = MAP.read_page([{"id": "a", **self.SECRETS}, dict(self.SECRETS), [self.SECRETS]])
        for text in (sims[0].attributes, rejected[0].payload, rejected[1].payload):
            assert "kept" in text
            assert not [
                secret for secret in ("1111", "222", "333", "444", "private", "555", "pass", "666") if secret in text
            ]


@given(st.lists(json_values | st.dictionaries(st.sampled_from([*MAP.fields, "id", "state"]), json_values), max_size=6))
def test_no_page_of_whatever_json_raises_and_every_sim_can_be_stored(records: list[Any]) -> None:
    sims, rejected = MAP.read_page(records)
    assert len(sims) + len(rejected) == len(records)
    for sim in sims:
        assert all(is_storable(value) for value in sim if isinstance(value, str))
        assert "\x00" not in json.dumps(json.loads(sim.attributes), ensure_ascii=False)
        assert "\\u0000" not in sim.attributes.replace("\\\\", "")
        assert sim.status in set(Lifecycle)
    for one in rejected:
        assert is_storable(one.payload)


class TestWhatNoDatabaseHolds:
    def test_nul_and_lone_surrogates_are_shown_and_flagged_wherever_they_stand(self) -> None:
        record = {"id": "a", "name": "\ud800x", "imsi": "1\x002", "state": "o\x00n", "k\x00": [{"\udfff": "\x00"}]}
        sim = MAP.read(record)
        assert (sim.label, sim.imsi, sim.carrier_status) == ("\ufffdx", "1\ufffd2", "o\ufffdn")
        assert attributes(sim)["k\ufffd"] == [{"\ufffd": "\ufffd"}]
        assert flags(sim) == ["bad_text", "iccid_missing", "imsi_malformed", "unknown_status"]

    def test_a_text_that_the_carrier_has_damaged_already_is_flagged_too(self) -> None:
        assert flags(read(name="Z\ufffdrich")) == ["bad_text"]
        assert flags(read(name="Zürich \N{SNOWMAN} \uffff")) == []

    @pytest.mark.parametrize("bad", ["a\x00", "\ud800", "ä" * 501, "x" * 1001])
    def test_an_id_is_never_changed_so_that_two_sims_never_become_one(self, bad: str) -> None:
        sims, rejected = MAP.read_page([{"id": "a"}, {"id": bad}])
        assert [sim.sim_id for sim in sims] == ["a"]
        assert rejected[0].position == 1
        assert rejected[0].reason.startswith("expected an id that databases can hold, at most 1,000 bytes, found ")
        sims, rejected = KEYED_BY_ICCID.read_page([{"iccid": bad}])
        assert (len(sims), len(rejected)) == (0, 1)

    def test_an_id_of_a_thousand_bytes_is_one(self) -> None:
        assert [len(MAP.read({"id": bad}).sim_id) for bad in ("x" * 1000, "ä" * 500)] == [1000, 500]

    def test_what_is_nested_without_end_is_left_out(self) -> None:
        deep: Any = "at the end"
        for _ in range(900):
            deep = [{"in": deep}]
        sim = read(deep=deep)
        assert flags(sim) == ["bad_text"]
        assert "more than 100 levels" in sim.attributes
        assert "at the end" not in sim.attributes
        _, rejected = MAP.read_page([{"deep": deep}])
        assert "more than 100 levels" in rejected[0].payload

    def test_a_key_that_appears_twice_with_two_values_is_flagged(self) -> None:
        document = read_json(b'[{"id": 1, "state": "on", "state": "off"}, {"id": 2, "state": "on", "state": "on"}]', "")
        sims, _ = MAP.read_page(document)
        assert [(sim.status, "duplicate_keys" in flags(sim)) for sim in sims] == [
            ("suspended", True),
            ("active", False),
        ]

    def test_a_number_of_any_size_keeps_its_digits(self) -> None:
        digits = "9" * 5000
        document = read_json(f'{{"id": 1, "iccid": 89883070000123456789, "usage": {digits}}}'.encode(), "")
        sim = MAP.read(document)
        assert sim.iccid == "89883070000123456789"
        assert attributes(sim) == {"usage": digits}

    def test_a_time_of_any_size_is_flagged_and_kept_beside(self) -> None:
        for sent in ("9" * 400, "9" * 5000):
            sim = MAP.read(read_json(f'{{"id": 1, "iccid": "{iccid(1)}", "since": {sent}}}'.encode(), ""))
            assert (sim.activated_at, flags(sim)) == (None, ["bad_time"])
            assert attributes(sim)["as_sent"] == {"activated_at": f'"{sent}"'}
