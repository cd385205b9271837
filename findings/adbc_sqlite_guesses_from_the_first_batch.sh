#!/usr/bin/env bash
# ADBC's SQLite driver takes a TEXT column for integers when its first 1,024 rows are NULL.
#
# SQLite's driver finds a column's type by the values of its first batch, also where the table declares one. Columns that are
# NULL for most rows are the rule in this field: `eid`, `vanished_at`, `absent_since`. With 1,024 leading NULLs the column is INT64,
# and the first text ends the export with an error; with 1,023 it is a string. The order of the rows decides.
#
# Seen on 2026-11-28 with adbc-driver-sqlite 1.13.0, pyarrow 26.0.1, Python 3.11:
#     1023 NULLs first: string
#     1024 NULLs first: OSError: [SQLite] Type mismatch in column 0: expected INT64 but got STRING/BINARY
# Exits 0 while this is so, 1 with what came instead when it has changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check adbc-driver-sqlite==1.13.0 adbc-driver-manager==1.13.0 pyarrow==26.0.1
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import sqlite3
import sys

import adbc_driver_sqlite.dbapi


def type_of(nulls: int) -> str:
    with sqlite3.connect(f"{nulls}.db") as database:
        database.execute("CREATE TABLE sims (eid TEXT)")
        database.executemany("INSERT INTO sims VALUES (?)", [(None,)] * nulls + [("89049032000000000000000000000001",)])
    with adbc_driver_sqlite.dbapi.connect(f"{nulls}.db") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT eid FROM sims")
        try:
            return str(cursor.fetch_arrow_table().schema.field("eid").type)
        except OSError as error:
            return str(error)


found = {nulls: type_of(nulls) for nulls in (1023, 1024)}
print(found)
wrong = "[SQLite] Type mismatch in column 0: expected INT64 but got STRING/BINARY"
sys.exit(0 if found == {1023: "string", 1024: wrong} else "changed")
PYTHON
