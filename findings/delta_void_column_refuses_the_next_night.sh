#!/usr/bin/env bash
# A Delta table remembers a column without values as void, and refuses the night that has the first one.
#
# A fleet without eUICCs has no EID in any row. Written as pyarrow infers it, delta-rs makes the column `void`. The night with
# the first EID is refused on append ("Cannot cast field eid from Utf8 to Null"), although its own column is an ordinary string.
# `schema_mode="merge"` takes it; a declared schema from the first night on avoids it.
#
# Seen on 2026-11-28 with deltalake 1.6.6, pyarrow 26.0.1, Python 3.11:
#     type of eid after the first night: void
#     append of the second night:        SchemaMismatchError: Cannot cast field eid from Utf8 to Null
#     the same with schema_mode="merge": 2 rows
# Exits 0 while this is so, 1 with what came instead when it has changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check deltalake==1.6.6 pyarrow==26.0.1
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import sys

import pyarrow
from deltalake import DeltaTable, write_deltalake

first = pyarrow.table({"iccid": ["8988307000000000013"], "eid": pyarrow.nulls(1)})
second = pyarrow.table({"iccid": ["8988307000000000021"], "eid": ["89049032000000000000000000000001"]})
write_deltalake("sims", first)
declared = {field.name: str(field.type) for field in DeltaTable("sims").schema().fields}["eid"]
try:
    write_deltalake("sims", second, mode="append")
    appended = "taken"
except Exception as error:  # its class has moved between releases
    appended = f"{type(error).__name__}: {error}"
write_deltalake("sims", second, mode="append", schema_mode="merge")
rows = DeltaTable("sims").to_pyarrow_table().num_rows
print(declared, appended, rows, sep="\n")
refused = appended == "SchemaMismatchError: Cannot cast field eid from Utf8 to Null"
sys.exit(0 if "void" in declared and refused and rows == 2 else "changed")
PYTHON
