#!/usr/bin/env bash
# python-stdnum says of T-Mobile's SIMs in the United States that they are the US Virgin Islands'.
#
# `stdnum.imsi.info` is how one finds the home country and network of a SIM from its IMSI. Network codes of 310 are
# shared by the United States and their territories, and its table keeps one country for each code. For 310-260, the
# network of nearly all of T-Mobile's SIMs, and for 310-120, which was Sprint's, that is `cc` "vi". A fleet that is
# counted, taxed or billed by `cc` has its American SIMs in the Caribbean, while those of AT&T (310-410) and Verizon
# (311-480) are "us" as they should be. Nothing in the answer says that the code has more than one country; a list of
# the networks of one's own carriers is the safe source.
#
# Seen on 2026-11-28 with python-stdnum 2.2, Python 3.11:
#     310260 -> vi, 310120 -> vi, 310410 -> us, 311480 -> us
# Exits 0 while this is so, 1 with what came instead when it has changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check python-stdnum==2.2
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import sys

from stdnum import imsi

seen = {network: imsi.info(network + "000000001")["cc"] for network in ("310260", "310120", "310410", "311480")}
print(seen)
sys.exit(0 if seen == {"310260": "vi", "310120": "vi", "310410": "us", "311480": "us"} else "changed")
PYTHON
