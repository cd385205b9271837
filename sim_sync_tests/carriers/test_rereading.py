import json
from typing import Any

import pytest

from sim_sync.carriers.json_bodies import read_json
from sim_sync.carriers.records import RecordMap
from sim_sync.carriers.records.reading import payload_text
from sim_sync.carriers.registry import connectors
from sim_sync.carriers.rereading import fields_never_stored, reread
from sim_sync.carriers.secrets import HIDDEN, Redactor
from sim_sync.core.quarantine import Reread
from sim_sync.core.sims import StatusWords
from sim_sync.core.storable import DAMAGED

ICCID = "89883070000004567898"
FIELDS = {"sim_id": "id", "iccid": "iccid", "msisdn": "number", "label": "name", "activated_at": "since"}
MAP = RecordMap(fields=FIELDS, statuses=StatusWords({}))


def read(record: Any, record_map: RecordMap = MAP, *secrets: str) -> Reread:
    return reread(json.dumps(record), record_map, Redactor(secrets))


def test_a_stored_record_is_read_as_the_walk_reads_one() -> None:
    sent = f'{{"id":"a","iccid":{ICCID},"usage":12345678901234567890123,"name":"pump","share":0.5}}'
    record = read_json(sent.encode(), "application/json")
    found = reread(payload_text(record), MAP, Redactor())
    assert (list(found.sims), found.reason) == (MAP.read_page([record])[0], None)


def test_what_is_still_no_sim_says_why() -> None:
    assert read({"iccid": ICCID}) == Reread([], "expected an id in `sim_id`, found none")
    assert read([1]).reason == "expected an object, found list"
    assert reread("{", MAP, Redactor()).reason == "expected the stored record as JSON, found another text"


@pytest.mark.parametrize(
    ("name", "key"), [("sim_id", "id"), ("iccid_raw", "iccid"), ("msisdn", "number"), ("label", "name")]
)
@pytest.mark.parametrize("shown", [HIDDEN, f"my {HIDDEN}!"])
def test_a_placeholder_is_never_a_value_of_a_sim(name: str, key: str, shown: str) -> None:
    found = read({"id": "a", "iccid": ICCID, key: shown})
    assert found.sims == []
    assert f"`{name}`" in (found.reason or "") or name == "msisdn"
    assert "secret" in (found.reason or "")


def test_a_time_that_was_hidden_is_no_unknown_time() -> None:
    found = read({"id": "a", "iccid": ICCID, "since": HIDDEN})
    assert (found.sims, "`activated_at`" in (found.reason or "")) == ([], True)


def test_a_secret_that_the_account_has_today_is_no_value_either() -> None:
    assert read({"id": "a", "iccid": ICCID, "name": "old-password-1"}, MAP, "old-password-1").sims == []


def test_the_rest_of_a_record_is_kept_without_its_placeholders() -> None:
    rest = {"note": f"x {HIDDEN}", "tags": [HIDDEN, "b"], "deep": {"a": HIDDEN, "b": [{"c": HIDDEN, "d": 1}]}}
    (sim,) = read({"id": "a", "iccid": ICCID, **rest}).sims
    assert json.loads(sim.attributes) == {"tags": ["b"], "deep": {"b": [{"d": 1}]}}


def test_an_id_that_was_damaged_to_be_stored_is_no_id() -> None:
    found = read({"id": f"a{DAMAGED}", "iccid": ICCID})
    assert (found.sims, "no database holds" in (found.reason or "")) == ([], True)


def test_a_field_whose_values_are_never_stored_cannot_be_replayed() -> None:
    """Its absence from the stored record would pass for a value that the carrier has taken away."""
    for path in ("pin", "auth.api_key", "to_string(password)"):
        record_map = RecordMap(fields={"sim_id": "id", "label": path}, statuses=StatusWords({}))
        assert fields_never_stored(record_map) == ["label"]
        found = read({"id": "a"}, record_map)
        assert (found.sims, "`label`" in (found.reason or "")) == ([], True)


@pytest.mark.parametrize("kind", sorted(connectors()))
def test_every_field_of_a_known_carrier_is_stored(kind: str) -> None:
    assert fields_never_stored(connectors()[kind].record_map) == []


def test_of_a_record_of_several_sims_the_readable_ones_are_put_in() -> None:
    several = RecordMap(fields=FIELDS, statuses=StatusWords({}), split=lambda record: record["sims"])
    found = read({"sims": [{"id": "a", "iccid": ICCID}, {"iccid": ICCID}]}, several)
    assert [sim.sim_id for sim in found.sims] == ["a"]
    assert found.reason == "expected an id in `sim_id`, found none"
