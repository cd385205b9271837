import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from sim_sync.config import Config, load_config
from sim_sync.config.config import DEFAULT_WAREHOUSE_URL
from sim_sync.core.errors import ConfigError, InputError, SimSyncError
from sim_sync.core.inventory import InventorySim
from sim_sync_tests.config.conftest import CARRIER, Load
from sim_sync_tests.inventory.lists import Read, gathered

SOUND = f"carriers:{CARRIER}"


def problems(load: Load, text: str, **environ: str) -> list[str]:
    """Return the problems of a config as their texts without the file."""

    def load_all() -> None:
        config = load(text, **environ)
        config.require_sound(config.carrier_names)

    with pytest.raises(ConfigError) as refused:
        load_all()
    return [str(problem).removeprefix(f"{problem.where}: ") for problem in refused.value.problems]


def test_a_config_of_one_carrier_is_enough(load: Load) -> None:
    config = load(SOUND)
    assert config.carrier_names == ("acme",)
    assert config.warehouse_url == DEFAULT_WAREHOUSE_URL
    assert (config.schedule.cron, config.schedule.timezone) == ("0 2 * * *", "UTC")
    assert config.reconcile.fields == ("status", "msisdn", "imsi", "rate_plan")
    assert config.inventory == []
    assert config.our_list() is None


def test_every_problem_of_the_whole_file_is_told_at_once(load: Load) -> None:
    text = """
warehose: {}
schedule: {cron: every night, timezone: Middle/Earth}
reconcile: {fields: [status, colour]}
inventory: {type: csv, columns: {iccid: ICCID, colour: Farbe}, statuses: {LIVE: alive}}
carriers:
  acme: {type: twilio_super_sim, auth: {username: AC1, pasword: x}, page_size: many}
  "bad name": {type: twilio_super_sim, auth: {username: AC1, password: x}}
  other: {type: carrier_pigeon}
"""
    assert problems(load, text) == [
        (
            "warehose: expected one of warehouse, schedule, inventory, reconcile, alerts, retention, export, carriers, "
            "found an unknown key"
        ),
        (
            'schedule.cron: expected a cron expression of five fields, such as "0 2 * * *" for every night at two, '
            "found 'every night'"
        ),
        "schedule.timezone: expected a time zone such as Europe/Berlin or UTC, found 'Middle/Earth'",
        (
            "inventory.columns.colour: expected one of iccid, carrier, imsi, msisdn, imei, eid, status, rate_plan, "
            "label, found 'colour'"
        ),
        (
            "inventory.statuses.LIVE: expected 'inventory', 'test_ready', 'activation_ready', 'active', 'suspended', "
            "'deactivated', 'terminated', 'replaced' or 'unknown', found 'alive'"
        ),
        "inventory.path: expected a value, found nothing",
        "reconcile.fields.1: expected one of status, msisdn, imsi, imei, eid, rate_plan, label, found 'colour'",
        (
            "carriers.bad name: expected a name of letters, digits, single dots, dashes and underscores, "
            "at most 100 of them, found 'bad name'"
        ),
        "carriers.acme.page_size: expected a whole number, found 'many'",
        "carriers.acme.auth.password: expected a value, found nothing",
        "carriers.acme.auth.pasword: expected one of password, username, found an unknown key; did you mean password?",
        *(problem for problem in problems(load, "carriers:\n  other: {type: carrier_pigeon}")),
    ]


@pytest.mark.parametrize("text", ["carriers: {}", "carriers:", "carriers: [acme]", "schedule: {}"])
def test_a_config_without_a_carrier_is_refused(load: Load, text: str) -> None:
    assert "carriers: expected at least one carrier, by its name, found none" in problems(load, text)


def test_a_carrier_with_problems_does_not_keep_the_others_from_being_used(load: Load) -> None:
    config = load(SOUND + "\n  broken: {type: twilio_super_sim}\n")
    assert config.carrier("acme").name == "acme"
    with pytest.raises(ConfigError, match=r"carriers\.broken\.auth\.username"):
        config.carrier("broken")


def test_an_unknown_carrier_is_refused_with_the_known_ones(load: Load) -> None:
    with pytest.raises(InputError, match=r"^no carrier 'acne'; .*carriers\.yaml has: acme$"):
        load(SOUND).carrier("acne")


def test_the_environment_names_the_warehouse_before_the_file_does(load: Load) -> None:
    text = "warehouse: {url: 'sqlite:///mine.db'}\n" + SOUND
    assert load(text).warehouse_url == "sqlite:///mine.db"
    assert load(text, SIM_SYNC_WAREHOUSE_URL="sqlite:///other.db").warehouse_url == "sqlite:///other.db"
    empty = "warehouse:\n" + SOUND
    assert load(empty, SIM_SYNC_WAREHOUSE_URL="sqlite:///other.db").warehouse_url == "sqlite:///other.db"


def test_the_warehouse_variable_may_be_unset_but_any_other_may_not(load: Load) -> None:
    assert load("warehouse: {url: {env: SIM_SYNC_WAREHOUSE_URL}}\n" + SOUND).warehouse_url == DEFAULT_WAREHOUSE_URL
    assert problems(load, "warehouse: {url: {env: MY_DATABASE}}\n" + SOUND) == [
        "warehouse.url: expected the environment variable MY_DATABASE to be set; it is not set"
    ]


def test_the_file_is_found_by_the_environment_or_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "carriers.yaml").write_text(SOUND, encoding="utf-8")
    assert load_config(environ={"SIM_SYNC_CONFIG": str(tmp_path / "carriers.yaml")}).carrier_names == ("acme",)
    monkeypatch.chdir(tmp_path)
    assert load_config(environ={}).carrier_names == ("acme",)


def listed(config: Config) -> Read:
    """Return what our list says."""
    our_list = config.our_list()
    assert our_list is not None
    with our_list.opened() as reading:
        return gathered(reading)


def test_the_inventory_lies_beside_the_config(load: Load, tmp_path: Path) -> None:
    (tmp_path / "ours.csv").write_text("ICCID;State\n89883070000000000000;LIVE\n", encoding="utf-8")
    text = (
        "inventory: {type: csv, path: ours.csv, delimiter: ';', columns: {iccid: ICCID, status: State}, "
        "statuses: {LIVE: active}}\n" + SOUND
    )
    inventory = listed(load(text))
    assert [(row.iccid, row.status) for row in inventory.rows] == [("89883070000000000000", "active")]


def test_the_inventory_may_be_the_answer_of_a_query(load: Load, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "ours.db").execute("CREATE TABLE sims (iccid TEXT)").connection.close()
    text = (
        f"inventory: {{type: sql, url: 'sqlite:///{tmp_path / 'ours.db'}', "
        "query: \"SELECT '89883070000000000000' AS iccid\", columns: {iccid: iccid}}\n" + SOUND
    )
    inventory = listed(load(text))
    assert [row.iccid for row in inventory.rows] == ["89883070000000000000"]


@pytest.mark.parametrize(
    "inventory",
    [
        "type: csv, path: {env: OUR_PLACE}",
        "type: sql, url: {env: OUR_PLACE}, query: SELECT 1",
    ],
)
@pytest.mark.parametrize("place", ["sqlite:////vault/token-4711/list.db", "postgresql://user-4711@127.0.0.1:1/db-4711"])
def test_where_our_list_is_stays_untold_if_the_environment_says_it(load: Load, inventory: str, place: str) -> None:
    config = load(f"inventory: {{{inventory}, columns: {{iccid: iccid}}}}\n{SOUND}", OUR_PLACE=place)
    with pytest.raises(SimSyncError, match=r"\{env: OUR_PLACE\}") as refused:
        listed(config)
    assert "4711" not in str(refused.value) + repr(config)


@pytest.mark.parametrize(
    "section",
    [
        "schedule: {cron: {env: VALUE}}",
        "schedule: {timezone: {env: VALUE}}",
        "reconcile: {fields: [{env: VALUE}]}",
        "inventory: {type: {env: VALUE}, path: x, columns: {iccid: a}}",
        "inventory: {type: csv, path: ours.csv, columns: {iccid: ICCID, status: {env: VALUE}}}",
        "inventory: {type: csv, path: ours.csv, columns: {iccid: {env: VALUE}}}",
        "inventory: {type: csv, path: ours.csv, columns: {iccid: ICCID}, statuses: {ON: {env: VALUE}}}",
        "inventory: {type: csv, path: ours.csv, columns: {iccid: ICCID}, delimiter: {env: VALUE}}",
        "inventory: {type: csv, path: ours.csv, columns: {iccid: ICCID}, encoding: {env: VALUE}}",
    ],
)
def test_no_value_from_the_environment_is_told(load: Load, tmp_path: Path, section: str) -> None:
    (tmp_path / "ours.csv").write_text("ICCID,State\n8988303000008013931,ON\n")
    with pytest.raises(SimSyncError, match=r"VALUE") as refused:
        listed(load(f"{section}\n{SOUND}", VALUE="tok-4711-abcdef"))
    assert "4711" not in f"{refused.value}{refused.value!r}"


def test_the_shipped_config_is_sound() -> None:
    config = load_config(Path(__file__).parents[2] / "carriers.yaml", environ={})
    config.require_sound(config.carrier_names)
    inventory = listed(config)
    assert (len(inventory.rows), inventory.findings, inventory.tally.unknown_status_words) == (20_004, [], {})


def test_no_printed_form_of_a_config_shows_a_secret(load: Load) -> None:
    config = load(SOUND, SIM_SYNC_WAREHOUSE_URL="postgresql://me:database-password@host/db")
    carrier = config.carrier("acme")
    shown = repr(config) + str(config) + repr(carrier) + repr(carrier.settings) + repr(carrier.settings.auth)
    assert "a-token-that-nobody-sees" not in shown
    assert "database-password" not in shown


def test_our_list_may_be_kept_in_several_places_each_for_some_carriers(load: Load, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ICCID\n8988307000000000001\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text(
        "Number,Who\n8988307000000000002,zeta\n8988307000000000003,acme\n", encoding="utf-8"
    )
    text = f"""
inventory:
  - {{type: csv, path: a.csv, columns: {{iccid: ICCID}}, carriers: [acme]}}
  - {{type: csv, path: b.csv, columns: {{iccid: Number, carrier: Who}}}}
carriers:{CARRIER}
  zeta: {{type: twilio_super_sim, auth: {{username: AC1, password: x}}}}
"""
    config = load(text)
    read = {name: listed_of(config, name) for name in config.carrier_names}
    assert read == {"acme": ["8988307000000000001", "8988307000000000003"], "zeta": ["8988307000000000002"]}


def listed_of(config: Config, carrier: str) -> list[str]:
    our_list = config.our_list(carrier)
    assert our_list is not None
    with our_list.opened({carrier}) as reading:
        return [entry.iccid for entry in reading if isinstance(entry, InventorySim)]


def test_a_carrier_that_no_list_is_for_has_none(load: Load) -> None:
    text = "inventory: [{type: csv, path: a.csv, columns: {iccid: ICCID}, carriers: [zeta]}]\n" + SOUND
    config = load(text + "\n  zeta: {type: twilio_super_sim, auth: {username: AC1, password: x}}\n")
    assert config.our_list("acme") is None
    assert config.our_list("zeta") is not None


def test_two_lists_of_one_file_or_database_are_told_apart(load: Load, tmp_path: Path) -> None:
    place = "type: sql, url: 'sqlite:///ours.db', columns: {iccid: iccid}"
    sheets = "type: xlsx, path: ours.xlsx, columns: {iccid: ICCID}"
    text = (
        f"inventory: [{{{place}, query: SELECT 1}}, {{{place}, query: SELECT 2}}, {{{sheets}, sheet: A}}, "
        f"{{{sheets}, sheet: B}}, {{type: csv, path: one.csv, columns: {{iccid: ICCID}}}}]\n{SOUND}"
    )
    assert [one.where for one in load(text).our_lists()] == [
        "of sqlite:///ours.db, section 0",
        "of sqlite:///ours.db, section 1",
        f"{tmp_path}/ours.xlsx, section 2",
        f"{tmp_path}/ours.xlsx, section 3",
        f"{tmp_path}/one.csv",
    ]


def test_what_is_wrong_with_one_of_several_lists_is_told_with_its_place(load: Load) -> None:
    text = (
        "inventory: [{type: csv, path: a.csv, columns: {iccid: ICCID}, carriers: [acne]}, "
        "{type: xls, path: a.xls}, {type: xlsx, path: a.xlsx, columns: {iccid: A}, sheet: 0, header_row: 0}]\n"
    )
    told = problems(load, text + SOUND)
    assert told[0] == "inventory.0.carriers.0: expected one of acme, found 'acne'"
    assert told[1].startswith("inventory.1")
    assert "a type: csv, xlsx, parquet or sql, not xls" in told[1]
    assert any(problem.startswith("inventory.2.sheet") for problem in told)
    assert any(problem.startswith("inventory.2.header_row") for problem in told)
    (none,) = problems(load, "inventory: []\n" + SOUND)
    assert none == "inventory: expected our list, or several of them, found an empty list"


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("reconcile: {prices: {currency: EURO}}", "prices.currency: expected the three capital letters of a currency"),
        ("inventory: {path: a.csv}", "inventory: expected a type: csv, xlsx, parquet or sql, found keys and values"),
        ("retention: {days: 0}", "retention.days: expected a number greater than or equal to 1, found 0"),
        (
            "inventory: {type: sql, url: x, query: '', columns: {iccid: a}}",
            "query: expected text of at least 1 character",
        ),
    ],
)
def test_what_was_expected_is_said_in_words_and_with_the_key_as_it_is_written(
    load: Load, section: str, problem: str
) -> None:
    (told,) = problems(load, f"{section}\n{SOUND}")
    assert problem in told


@pytest.mark.parametrize("place", ["{type: csv, path: {env: PLACE}, columns: {iccid: ICCID}}"])
def test_where_one_of_several_lists_is_stays_untold_if_the_environment_says_it(load: Load, place: str) -> None:
    config = load(f"inventory: [{place}, {place}]\n{SOUND}", PLACE="/vault/token-4711/list.csv")
    with pytest.raises(SimSyncError, match=r"\{env: PLACE\}, section 0") as refused:
        listed(config)
    assert "4711" not in str(refused.value) + repr(config)


def test_a_problem_of_the_alerts_is_told_by_whoever_asks_for_them_and_by_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "carriers.yaml"
    account = "{type: emnify, auth: {application_token: x}}"
    path.write_text(f"carriers: {{acme: {account}}}\nalerts: {{webhook: {{url: {{env: ALERT_URL}}}}, onn: []}}\n")
    config = load_config(path, environ={})
    config.require_sound(["acme"])
    with pytest.raises(ConfigError, match=r"alerts\.onn"):
        _ = config.alerts
    with pytest.raises(ConfigError) as caught:
        config.require_sound(["acme"], with_alerts=True)
    assert [problem.key for problem in caught.value.problems] == ["alerts.webhook.url", "alerts.onn"]


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (
            "schedule: {con: x}",
            "schedule.con: expected one of cron, timezone, found an unknown key; did you mean cron?",
        ),
        (
            "inventory: [{type: sql, url: u, qery: q, query: q, columns: {iccid: a}}]",
            "inventory.0.qery: expected one of carriers, columns, min_percent_of_last, query, statuses,",
        ),
        ("reconcile: {severity: [{kinds: quality, severity: low}]}", "severity.0.kinds: expected one of field, kind,"),
        ("export: {parquet: {path: a, pth: b}}", "export.parquet.pth: expected one of path, storage, found"),
    ],
)
def test_an_unknown_key_is_told_with_those_that_may_stand_there_at_every_depth(
    load: Load, section: str, problem: str
) -> None:
    (told,) = problems(load, f"{section}\n{SOUND}")
    assert problem in told


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("rate_limit: {request_per_second: 5}", "rate_limit.request_per_second: expected one of burst, max_in_flight,"),
        ("statuses: {A: {status: active, pendin: true}}", "statuses.A.pendin: expected one of pending, status, found"),
        ("retry: {}\n    pages: 3", "acme.pages: expected one of allow_insecure, auth, base_url"),
    ],
)
def test_an_unknown_key_of_a_carrier_is_told_with_those_beside_it(load: Load, keys: str, problem: str) -> None:
    (told,) = problems(load, f"{SOUND}    {keys}\n", ACME_TOKEN="t")
    assert problem in told


def test_a_short_secret_is_told_its_length_in_characters_and_not_shown(load: Load) -> None:
    config = load("alerts: {webhook: {url: 'https://hooks.example.com/a', secret: sh0rt}}\n" + SOUND)
    with pytest.raises(ConfigError, match="secret: expected at least 8 characters, found text"):
        config.require_sound(config.carrier_names, with_alerts=True)


def test_a_problem_of_the_alerts_is_told_with_those_of_all_carriers(tmp_path: Path) -> None:
    path = tmp_path / "carriers.yaml"
    path.write_text("carriers: {}\nalerts: {on: [nothing]}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ={})
    assert [problem.key for problem in caught.value.problems] == ["carriers", "alerts.on.0"]


_CARRIER_OF_MANY = """  c{number}:
    type: twilio_super_sim
    auth: {{username: AC{number}, password: {{env: ACME_TOKEN}}}}
    rate_limit: {{requests_per_second: 10, max_in_flight: 4}}
    retry: {{base_seconds: 1, ceiling_seconds: 60, max_attempts: 8, park_after_seconds: 300}}
    sweep: {{max_vanished_percent: 5, min_vanished_count: 20, lookup_limit: 200}}
    max_age_hours: 36
"""


#: What must not be done for each carrier: building a model or a pattern, reading the file, composing nodes of YAML.
_ONCE = ("generate_schema", "create_schema_validator", "_compile", "read_text", "compose_node", "construct_object")


def _calls(work: Callable[[], object]) -> Counter[str]:
    """Count the functions of Python that some work calls, by their names."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            found[frame.f_code.co_name] += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


def test_a_carrier_more_costs_its_own_keys_and_nothing_is_built_again_for_it(load: Load) -> None:
    def loaded(carriers: int) -> None:
        config = load("carriers:\n" + "".join(_CARRIER_OF_MANY.format(number=number) for number in range(carriers)))
        for name in config.carrier_names:
            config.carrier(name)
            config.retry(name)

    loaded(1)  # a model is built once in a process, when it is used
    few, many = (_calls(lambda carriers=carriers: loaded(carriers)) for carriers in (10, 60))  # type: ignore[misc]
    assert [many[name] - few[name] for name in _ONCE] == [0] * len(_ONCE)
    assert many["read_text"]  # it is called so; in Python 3.13 one of its two classes calls the other
    assert (many.total() - few.total()) / 50 < 500


def test_a_carriers_retry_is_read_alone_and_is_that_of_its_whole_part(load: Load) -> None:
    text = f"carriers:{CARRIER}    retry: {{max_attempts: {{env: TIMES}}}}\n  plain: {{type: nothing}}\n"
    config = load(text, TIMES="3")
    assert config.retry("acme") == config.carrier("acme").retry
    assert config.retry("acme").max_attempts == 3
    assert config.retry("plain").max_attempts == 8
    with pytest.raises(InputError, match="no carrier 'other'"):
        config.retry("other")
    with pytest.raises(ConfigError, match=r"carriers\.acme\.retry\.max_attempts"):
        load(text, TIMES="many").retry("acme")
    with pytest.raises(ConfigError, match="the environment variable TIMES to be set"):
        load(text).retry("acme")
