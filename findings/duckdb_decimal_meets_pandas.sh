#!/usr/bin/env bash
# DuckDB keeps DECIMAL(20,0) exactly and hands it to pandas as floats: different SIMs become one.
#
# DECIMAL(20,0) is what a careful schema declares for an ICCID that must stay a number. Fetched as rows or as Arrow the
# values are exact. `.df()` makes float64 of them, and so does `pandas.read_sql` on the same connection, because its
# `coerce_float` is on unless it is turned off. Nothing warns: the frame has two rows and one distinct ICCID.
#
# Seen on 2026-11-28 with duckdb 2.0.1, pandas 3.1.1, pyarrow 26.0.1, Python 3.11:
#     rows:            2 distinct
#     arrow:           2 distinct
#     .df():           float64, 1 distinct
#     pandas.read_sql: float64, 1 distinct
# Exits 0 while this is so, 1 with what came instead when it has changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check duckdb==2.0.1 pandas==3.1.1 pyarrow==26.0.1
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import sys
import warnings

import duckdb
import pandas

warnings.simplefilter("ignore")  # pandas would rather have SQLAlchemy
connection = duckdb.connect()
connection.execute("CREATE TABLE sims (iccid DECIMAL(20, 0))")
connection.execute("INSERT INTO sims VALUES (89883070000000000139), (89883070000000000147)")
query = "SELECT iccid FROM sims"
frame, read = connection.execute(query).df(), pandas.read_sql(query, connection)
arrow = connection.execute(query).to_arrow_table()
found = {
    "rows": len(set(connection.execute(query).fetchall())),
    "arrow": len(set(arrow.column("iccid").to_pylist())),
    "df": (str(frame.iccid.dtype), frame.iccid.nunique()),
    "read_sql": (str(read.iccid.dtype), read.iccid.nunique()),
}
print(found)
expected = {"rows": 2, "arrow": 2, "df": ("float64", 1), "read_sql": ("float64", 1)}
sys.exit(0 if found == expected else "changed")
PYTHON
