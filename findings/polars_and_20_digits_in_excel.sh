#!/usr/bin/env bash
# polars cannot read a sheet with one 20-digit number, and writes such numbers rounded without a word.
#
# Reading: a column of whole floats is cast to Int64, strictly. One ICCID of 20 digits among those of 19 is beyond it, and
# `read_excel` raises for the whole sheet; with a schema of text it gives rounded digits of the right length instead.
# Writing: Int128 holds 20 digits exactly, and `write_excel` puts them into cells as 8-byte floats: two SIMs, one number.
#
# Seen on 2026-11-28 with polars 2.1.0, fastexcel 0.21.0, xlsxwriter 3.3.1, Python 3.11:
#     read_excel:                     InvalidOperationError: conversion from `f64` to `i64` failed
#     read_excel with String:         89883070000000008192 for ...0139
#     write_excel of 2 Int128 values: 1 distinct cell
# Exits 0 while this is so, 1 with what came instead when it has changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check polars==2.1.0 fastexcel==0.21.0 xlsxwriter==3.3.1 python-calamine==0.9.1
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import sys

import polars
import xlsxwriter
from python_calamine import CalamineWorkbook

book = xlsxwriter.Workbook("numbers.xlsx")
book.add_worksheet().write_column(0, 0, ["iccid", 8988307000000000013, 89883070000000000139])
book.close()
try:
    read = str(polars.read_excel("numbers.xlsx"))
except polars.exceptions.InvalidOperationError as error:
    read = str(error).splitlines()[0][:41]
as_text = polars.read_excel("numbers.xlsx", schema_overrides={"iccid": polars.String})["iccid"].to_list()
exact = polars.DataFrame({"iccid": [89883070000000000139, 89883070000000000147]}, schema={"iccid": polars.Int128})
exact.write_excel("written.xlsx")
cells = CalamineWorkbook.from_path("written.xlsx").get_sheet_by_index(0).to_python()[1:]
found = (read, as_text[1], exact["iccid"].n_unique(), len({cell for (cell,) in cells}))
print(found)
expected = ("conversion from `f64` to `i64` failed in ", "89883070000000008192", 2, 1)
sys.exit(0 if found == expected else "changed")
PYTHON
