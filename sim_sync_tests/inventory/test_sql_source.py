"""Our list from a query: every value as text, nothing written, and one clear message for whatever goes wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from sim_sync.core.errors import InventoryError, InventoryUnavailable
from sim_sync.inventory import Reading, Terms
from sim_sync.inventory.sql_source import open_sql
from sim_sync_tests.inventory.lists import Read, gathered

ICCID = "89883030000080139311"


@pytest.fixture(params=["sqlite", "postgresql"])
def list_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each database in turn, empty: the company's own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/it's ours & 100%.db"
    return str(request.getfixturevalue("postgres_url"))


def given(url: str, *statements: str) -> None:
    """Run statements in the company's database."""
    made = sa.make_url(url)
    driver = "postgresql+psycopg" if made.get_backend_name() == "postgresql" else made.drivername
    engine = sa.create_engine(made.set(drivername=driver), poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.execution_options(no_parameters=True).exec_driver_sql(statement)


def rows(url: str, query: str) -> list[tuple[int, list[str]]]:
    with open_sql(url, query) as sheet:
        return [(line, list(cells)) for line, cells, _ in sheet.rows]


def read(url: str, query: str, **columns: str) -> Read:
    """Return what a query's answer means."""
    with open_sql(url, query) as sheet:
        return gathered(Reading(sheet, Terms({"iccid": "iccid"} | columns, ["acme"], {})))


def refusal(url: str, query: str = "SELECT 1") -> str:
    with pytest.raises((InventoryError, InventoryUnavailable)) as refused:
        rows(url, query)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_query_is_a_sheet_with_its_columns_and_counted_rows(list_url: str) -> None:
    given(
        list_url,
        "CREATE TABLE sims (iccid text, state text)",
        "INSERT INTO sims VALUES ('89883030000080139311', 'LIVE')",
    )
    with open_sql(list_url, 'SELECT iccid AS "ICCID", state, NULL AS empty FROM sims') as sheet:
        assert list(sheet.columns) == ["ICCID", "state", "empty"]
        assert [(line, list(cells)) for line, cells, _ in sheet.rows] == [(1, [ICCID, "LIVE", ""])]


def test_a_list_from_a_query_means_what_a_list_from_a_file_means(list_url: str) -> None:
    given(
        list_url,
        "CREATE TABLE sims (iccid text, carrier text, state text, note text)",
        "INSERT INTO sims VALUES ('89883030000080139311', 'acme', 'LIVE', 'NA'), (NULL, 'acme', 'LIVE', NULL)",
    )
    query = "SELECT * FROM sims ORDER BY iccid IS NULL"
    inventory = read(list_url, query, carrier="carrier", status="state")
    assert [(row.iccid, row.status, row.attributes) for row in inventory.rows] == [(ICCID, "unknown", '{"note":"NA"}')]
    assert inventory.reasons == [(2, "the row has no ICCID")]


def test_numbers_keep_all_their_digits_in_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/list.db"
    given(url, "CREATE TABLE t (a INTEGER, b TEXT, c REAL, d BLOB)")
    given(url, "INSERT INTO t VALUES (898830300000801393, '000123', 12.5, x'3132'), (0, '', 5e19, x'ff')")
    assert rows(url, "SELECT * FROM t") == [
        (1, ["898830300000801393", "000123", "12.5", "12"]),
        (2, ["0", "", "5e+19", "ff"]),
    ]


def test_values_are_written_as_text_in_postgresql(postgres_url: str) -> None:
    query = (
        "SELECT 89883030000080139311::numeric, 898830300000801393::bigint, 1.50::numeric(6,2), 0.1::float8, "
        "DATE '2026-03-02', TIMESTAMPTZ '2026-03-02 02:00:00+00', true, 'text'::bytea, ARRAY['a','b'], "
        "'{\"b\": 1, \"a\": 2}'::jsonb, '6b29fc40-ca47-1067-b31d-00dd010662da'::uuid, '100 %s :name'::text"
    )
    ((_, cells),) = rows(postgres_url, query)
    assert cells[:5] == ["89883030000080139311", "898830300000801393", "1.50", "0.1", "2026-03-02"]
    assert cells[5].startswith("2026-03-02T")
    assert cells[6:] == [
        "true",
        "text",
        '["a","b"]',
        '{"a":2,"b":1}',
        "6b29fc40-ca47-1067-b31d-00dd010662da",
        "100 %s :name",
    ]


@pytest.mark.parametrize("damaged", [ICCID, "898830300000801393"])
def test_an_iccid_that_a_float_column_has_damaged_is_a_finding_and_not_a_sim(list_url: str, damaged: str) -> None:
    query = "SELECT CAST(? AS double precision) AS iccid".replace("?", damaged)
    given(list_url, "CREATE TABLE sims (iccid text)")
    with pytest.raises(InventoryError) as refused:
        read(list_url, query)
    assert "row 1, column 'iccid'" in str(refused.value)
    assert "was rounded by a spreadsheet, its last digits are lost: it went through a floating" in str(refused.value)


def test_a_query_is_sent_as_it_is(list_url: str) -> None:
    given(list_url, "CREATE TABLE sims (iccid text)")
    assert rows(list_url, "SELECT '50 % :x' || '%(y)s'") == [(1, ["50 % :x%(y)s"])]


@pytest.mark.parametrize(
    "query", ["INSERT INTO sims VALUES ('x') RETURNING iccid", "DELETE FROM sims RETURNING iccid", "DROP TABLE sims"]
)
def test_nothing_is_written(list_url: str, query: str) -> None:
    given(list_url, "CREATE TABLE sims (iccid text)", "INSERT INTO sims VALUES ('89883030000080139311')")
    refusal(list_url, query)
    assert rows(list_url, "SELECT * FROM sims") == [(1, [ICCID])]


def test_a_statement_without_rows_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/list.db"
    given(url, "CREATE TABLE sims (iccid text)")
    assert "gives no rows by its nature: expected a SELECT" in refusal(url, "SAVEPOINT here")


def test_a_database_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    told = refusal(f"sqlite:///{tmp_path}/list.db")
    assert told.startswith(
        f"the inventory of sqlite:///{tmp_path}/list.db cannot be read (unable to open database file)"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("query", ["SELECT * FROM nowhere", "SELEC 1", "SELECT 1; DROP TABLE sims"])
def test_a_query_that_the_database_does_not_take_is_one_clear_message(list_url: str, query: str) -> None:
    given(list_url, "CREATE TABLE sims (iccid text)")
    told = refusal(list_url, query)
    assert told.startswith("the inventory of ")
    assert "Correct the inventory's `url` and `query`" in told


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:s3cret@127.0.0.1:1/list",
        "postgresql://reader@127.0.0.1:1/list?password=s3cret",
        "mysql+nosuchdriver://reader:s3cret@127.0.0.1/list",
        "oracle+cx_oracle://reader:s3cret@127.0.0.1/list",
        "nosuchdatabase://reader:s3cret@127.0.0.1/list",
        "reader:s3cret@list",
        "postgresql://reader:s3cret@127.0.0.1:port/list",
    ],
)
def test_a_database_that_cannot_be_reached_is_told_without_the_password(url: str) -> None:
    assert "s3cret" not in refusal(url)


def test_a_connection_that_is_cut_in_the_middle_is_no_shorter_list(postgres_url: str) -> None:
    query = (
        "SELECT CASE WHEN i = 20000 THEN pg_terminate_backend(pg_backend_pid()) END FROM generate_series(1, 50000) i"
    )
    with pytest.raises(InventoryUnavailable, match=r"cannot be read .*terminating connection"):
        rows(postgres_url, query)


def test_a_query_that_fails_in_the_middle_is_no_shorter_list(postgres_url: str) -> None:
    with pytest.raises(InventoryError, match="division by zero"):
        rows(postgres_url, "SELECT 1 / (20000 - i) FROM generate_series(1, 50000) i")


def test_a_long_list_is_read_without_holding_it(postgres_url: str) -> None:
    """In a process of its own, whose memory is measured."""
    program = (
        "import resource, sys\n"
        "from sim_sync.inventory.sql_source import open_sql\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "query = 'SELECT i::text, repeat(chr(97 + i % 26), 1000) FROM generate_series(1, {}) i'\n"
        "def count(rows):\n"
        "    with open_sql(sys.argv[1], query.format(rows)) as sheet:\n"
        "        return sum(1 for _ in sheet.rows)\n"
        "count(6_000); before = peak()\n"
        "print(count(40_000), (peak() - before) * 1024 < 20_000_000)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, postgres_url], capture_output=True, text=True, check=True, timeout=120
    )
    assert answer.stdout == "40000 True\n"


# --- one value never ends the reading ---------------------------------------------------------------------------


def test_a_date_that_python_has_no_form_for_is_what_the_database_writes(postgres_url: str) -> None:
    query = "SELECT 'infinity'::date, '0044-03-15 BC'::timestamp, interval '1 month', '{\"a\": 1, \"pin\": 2}'::json"
    ((_, cells),) = rows(postgres_url, query)
    assert cells[:2] == ["infinity", "0044-03-15 00:00:00 BC"]
    assert cells[3] == '{"a":1}'


def test_a_text_that_is_no_utf_8_is_left_out_in_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/list.db"
    given(url, "CREATE TABLE sims (iccid TEXT, label TEXT)")
    given(url, "INSERT INTO sims VALUES ('89883030000080139311', CAST(x'5afc72' AS TEXT))")
    inventory = read(url, "SELECT * FROM sims", label="label")
    assert [(row.iccid, row.label) for row in inventory.rows] == [(ICCID, None)]
    assert inventory.places == [(1, "label")]


@pytest.mark.parametrize(
    ("column", "left_out"), [("text", False), ("numeric", False), ("bigint", False), ("double precision", True)]
)
def test_numbers_count_in_every_column_that_keeps_their_digits(list_url: str, column: str, left_out: bool) -> None:
    given(list_url, f"CREATE TABLE sims (iccid {column})", "INSERT INTO sims VALUES ('898830300000801393')")
    query = "SELECT iccid FROM sims"
    if left_out:
        with pytest.raises(InventoryError, match="was rounded"):
            read(list_url, query)
    else:
        assert [row.iccid for row in read(list_url, query).rows] == ["898830300000801393"]


def test_a_value_that_the_query_cannot_cast_is_not_shown(postgres_url: str) -> None:
    told = refusal(postgres_url, f"SELECT '{ICCID}x'::bigint")
    assert "cannot be read" in told
    assert ICCID not in told
