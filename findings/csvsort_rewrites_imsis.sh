#!/usr/bin/env bash
# csvsort rewrites the columns that it does not sort by: test IMSIs lose their leading zeros.
#
# `csvsort -c state` is meant to change the order of the rows. Every column is read by agate's type inference first and
# written back in its own form: an IMSI of the test network 001/01 loses its two zeros, a label `1,000` becomes `1000`,
# and the 20-digit ICCID beside them stays exact. A list that was sorted "only" no longer matches the carrier's IMSIs.
# `--no-inference` keeps what was there.
#
# Seen on 2026-11-28 with csvkit 2.2.0, agate 1.14.2, Python 3.11:
#     before: 89883070000000000147,001010000000002,STOPPED
#     after:  89883070000000000147,1010000000002,STOPPED
# Exits 0 while this is so, 1 with what came instead when it has changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check csvkit==2.2.0 agate==1.14.2
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import subprocess
import sys
from pathlib import Path

rows = ["89883070000000000147,001010000000002,STOPPED", "89883070000000000139,001010000000001,LIVE"]
Path("sims.csv").write_text("\n".join(["iccid,imsi,state", *rows]) + "\n")


def sort(*options: str) -> list[str]:
    command = ["csvsort", "-c", "state", *options, "sims.csv"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1:]


print(sort(), sort("--no-inference"))
rewritten = ["89883070000000000139,1010000000001,LIVE", "89883070000000000147,1010000000002,STOPPED"]
sys.exit(0 if sort() == rewritten and sort("--no-inference") == rows[::-1] else "changed")
PYTHON
