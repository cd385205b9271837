#!/usr/bin/env bash
# Two loaders of CSV into SQLite make different SIMs equal, and one of them says INTEGER.
#
# `sqlite-utils insert --csv` finds that a column of 20-digit ICCIDs holds integers and declares it so; `csvsql --insert`
# declares FLOAT. SQLite keeps such a number as an 8-byte REAL either way, so that SIMs which differ in their last four digits are
# one value: `COUNT(DISTINCT)` and joins are wrong, and nothing is said. As JSON numbers the same ICCIDs are refused by
# sqlite-utils ("too large to convert"): only the CSV way is silent. With `--no-detect-types` they stay text.
#
# Seen on 2026-11-28 with sqlite-utils 4.2.1, csvkit 2.2.0, SQLite of Python, Python 3.11:
#     sqlite-utils: INTEGER, 2 rows, 1 distinct ICCID, joined with itself 4 rows
#     csvsql:       FLOAT,   2 rows, 1 distinct ICCID, joined with itself 4 rows
#     sqlite-utils --no-detect-types: TEXT, 2 distinct
# Exits 0 while this is so, 1 with what came instead when it has changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check sqlite-utils==4.2.1 csvkit==2.2.0 agate-sql==0.7.3
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import sqlite3
import subprocess
import sys
from pathlib import Path

Path("sims.csv").write_text("iccid,state\n89883070000000000139,LIVE\n89883070000000000147,LIVE\n")


def load(name: str, *command: str) -> tuple[str, int, int]:
    subprocess.run(command, check=True, capture_output=True)
    database = sqlite3.connect(name)
    declared = {column[1]: column[2] for column in database.execute("PRAGMA table_info(sims)")}["iccid"]
    (distinct,) = database.execute("SELECT COUNT(DISTINCT iccid) FROM sims").fetchone()
    (joined,) = database.execute("SELECT COUNT(*) FROM sims JOIN sims AS other USING (iccid)").fetchone()
    return declared, distinct, joined


found = {
    "sqlite-utils": load("a.db", "sqlite-utils", "insert", "a.db", "sims", "sims.csv", "--csv"),
    "csvsql": load("b.db", "csvsql", "--db", "sqlite:///b.db", "--insert", "sims.csv"),
    "as text": load("c.db", "sqlite-utils", "insert", "c.db", "sims", "sims.csv", "--csv", "--no-detect-types"),
}
print(found)
expected = {"sqlite-utils": ("INTEGER", 1, 4), "csvsql": ("FLOAT", 1, 4), "as text": ("TEXT", 2, 2)}
sys.exit(0 if found == expected else "changed")
PYTHON
