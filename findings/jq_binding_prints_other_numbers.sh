#!/usr/bin/env bash
# jq's Python binding compares 20-digit numbers exactly and prints other ones.
#
# libjq keeps the digits of a number that no arithmetic has touched. The binding's results lose them on the way out:
# `unique` counts three SIMs, `select(.iccid == ...)` finds the one that was asked for, `tostring` shows all its digits,
# and the identity filter prints one and the same number for all three. A check of counts passes, the list is wrong.
# Sending the numbers through `tostring` inside the program keeps them.
#
# Seen on 2026-11-28 with jq 1.13.0 (PyPI), Python 3.11:
#     map(.iccid) | unique | length -> 3
#     map(.iccid | tostring)        -> "89883070000000000139", "...147", "...154"
#     map(.iccid)                   -> 89883070000000008192 three times
# Exits 0 while this is so, 1 with what came instead when it has changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check jq==1.13.0
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import json
import sys

import jq

iccids = ["89883070000000000139", "89883070000000000147", "89883070000000000154"]
fleet = "[" + ", ".join(f'{{"iccid": {iccid}}}' for iccid in iccids) + "]"


def run(program: str) -> str:
    return jq.compile(program).input_text(fleet).text()


found = {
    "distinct": run("map(.iccid) | unique | length"),
    "asked for": run(f"map(select(.iccid == {iccids[1]})) | length"),
    "as text": json.loads(run("map(.iccid | tostring)")),
    "as they are": run("map(.iccid)"),
}
print(found)
expected = {
    "distinct": "3",
    "asked for": "1",
    "as text": iccids,
    "as they are": "[89883070000000008192, 89883070000000008192, 89883070000000008192]",
}
found["as they are"] = found["as they are"].replace(",", ", ").replace(",  ", ", ")
sys.exit(0 if found == expected else "changed")
PYTHON
