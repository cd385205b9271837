#!/usr/bin/env bash
# pydantic's `exclude` takes a mapping that is no dict for a set of keys, and leaves out more than was named.
#
# `model_dump(exclude={"list": {"lookup": True}})` leaves out one member of one key. The same value frozen, as
# `types.MappingProxyType`, is iterated like a set: the whole of `list` is gone, without an error.
# A digest of a configuration that was made so no longer changes with what it is meant to watch: in a sync, a cursor is
# taken for good although the list call that gave it is another one. Passing `dict(...)` is enough.
#
# Seen on 2026-11-28 with pydantic 2.14.4, Python 3.11:
#     dict:             {'list': {'path': '/v1/sims'}, 'page_size': 100}
#     MappingProxyType: {'page_size': 100}
# Exits 0 while this is so, 1 with what came instead when it has changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pydantic==2.14.4
cd "$folder"
PATH="$folder/venv/bin:$PATH" python - <<'PYTHON'
import sys
from types import MappingProxyType

from pydantic import BaseModel


class ListCall(BaseModel):
    path: str = "/v1/sims"
    lookup: str = "/v1/sims/{iccid}"


class Carrier(BaseModel):
    list: ListCall = ListCall()
    page_size: int = 100


named = {"list": {"lookup": True}}
found = Carrier().model_dump(exclude=named), Carrier().model_dump(exclude=MappingProxyType(named))
print(*found, sep="\n")
sys.exit(0 if found == ({"list": {"path": "/v1/sims"}, "page_size": 100}, {"page_size": 100}) else "changed")
PYTHON
