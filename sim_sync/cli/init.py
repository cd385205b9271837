"""`sim-sync init`: asks for one carrier and our own list, and writes a first `carriers.yaml`.

It never asks for a secret: it asks for the name of the environment variable that holds it. Each question has an answer
of its own, so Enter alone makes a file that can be read; so does an input that ends, as in a script.
"""

import csv
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sim_sync.config.config import CONFIG_VARIABLE, DEFAULT_PATH
from sim_sync.config.document import CARRIER_NAME
from sim_sync.core.errors import InputError
from sim_sync.terminal.output import ExitCode, print_lines, show_question

if TYPE_CHECKING:
    from sim_sync.carriers.connector import Connector

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
#: In characters: a file without lines is no list, and is not read as a whole to learn that.
_LONGEST_HEADER = 100_000
#: What columns of a list are called by those who keep one, beside our own names.
_COLUMN_NAMES: Mapping[str, Sequence[str]] = {
    "iccid": ("iccid", "iccidnumber", "simnumber", "sim"),
    "carrier": ("carrier", "provider", "operator"),
    "status": ("status", "state", "simstatus", "simstate"),
    "msisdn": ("msisdn", "phonenumber", "number"),
    "imsi": ("imsi",),
    "imei": ("imei",),
    "eid": ("eid",),
    "rate_plan": ("rateplan", "plan", "tariff"),
    "label": ("label", "name"),
}
#: What a declared carrier is described with; its documentation says what belongs there.
_REST: Mapping[str, Any] = {
    "list": {
        "path": "/v1/sims",
        "records": "data",
        "pagination": {
            "type": "page_number",
            "page_param": "page",
            "size_param": "per_page",
            "total_pages": "meta.total_pages",
        },
    },
    "fields": {"sim_id": "id", "iccid": "iccid", "status": "status", "imsi": "imsi", "msisdn": "msisdn"},
    "statuses": {"active": "active", "suspended": "suspended"},
}


@dataclass(frozen=True, slots=True)
class Given:
    """What was answered in the command line already; None is asked for."""

    type: str | None = None
    carrier: str | None = None
    inventory: str | None = None


def write_first_config(given: Given) -> ExitCode:
    """Write the file that `SIM_SYNC_CONFIG` names as a person answers, and say what to do next.

    A file that is there stays as it is.

    Raises:
        InputError: there is a file already, an answer cannot be used, or the file cannot be written.
    """
    path = Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_PATH)
    if path.exists():
        raise InputError(f"{path} is there already and stays as it is; edit it, or move it away and ask again")
    asking = _Asking()
    document, variables = _document(asking, given, path)
    _write_new(
        path, _HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000, default_flow_style=None)
    )
    carrier = next(iter(document["carriers"]))
    print_lines([f"{path} is written", *_next_steps(carrier, document, variables)])
    return ExitCode.DONE


_HEAD = """\
# What is synced, and with what it is compared. All other keys: docs/configuration.md; `sim-sync schema` for editors.
# {env: NAME} takes a value from the environment, or from the file .env beside this one. Secrets belong there.

"""


def _next_steps(carrier: str, document: Mapping[str, Any], variables: Sequence[str]) -> Iterator[str]:
    yield "next:"
    if document["carriers"][carrier]["type"] == "rest":
        yield "  say in the file where the carrier's list is and how it is paged (docs/adding-a-carrier.md)"
    if missing := [name for name in variables if name not in os.environ]:
        yield f"  set {', '.join(missing)} in the environment, or in the file .env"
    if "inventory" in document:
        yield "  compare the columns with those of your list, and name its status words under inventory.statuses"
    yield f"  sim-sync check {carrier}       reads two pages and writes nothing"
    yield f"  sim-sync backfill {carrier}    walks it into the warehouse"


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or type(error).__name__}") from None


# The questions.


@dataclass(slots=True)
class _Asking:
    """Asks on standard error and reads a line of standard input; when that ends, each question's own answer counts."""

    is_person: bool = field(default_factory=lambda: sys.stdin is not None and sys.stdin.isatty())
    is_over: bool = False

    def __call__(self, question: str, proposed: str, problem_of: Callable[[str], str | None] = lambda _: None) -> str:
        """Return the answer, the proposed one for an empty line; a person is asked again, a script is refused.

        Raises:
            InputError: an answer of a script cannot be used, or a person has left.
        """
        while True:
            show_question(f"{question} [{proposed}]: " if proposed else f"{question}: ", ends_line=not self.is_person)
            answer = self._line() or proposed
            problem = problem_of(answer)
            if problem is None:
                return answer
            if not self.is_person:
                raise InputError(f"{question}: expected {problem}; nothing was written")
            print_lines([f"  expected {problem}"])

    def _line(self) -> str:
        line = "" if self.is_over or sys.stdin is None else sys.stdin.readline()
        self.is_over = not line.endswith("\n")
        if self.is_over and self.is_person:
            raise InputError("nothing was written: the questions were left before the last of them")
        return line.strip()


def _document(ask: _Asking, given: Given, path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the whole configuration, and the variables that it takes its values from."""
    from sim_sync.carriers.registry import connectors

    known = connectors()
    is_known = _one_of(known)
    kind = _usable(given.type, "--type", is_known)
    name = _usable(given.carrier, "--carrier", _name_problem)
    kind = kind or ask(f"whose API? ({', '.join(known)})", "twilio_super_sim", is_known)
    name = name or ask("what is the account called here?", kind.replace("_", "-"), _name_problem)
    section: dict[str, Any] = {"type": kind}
    connector = known[kind]
    if connector.base_url is None:
        section["base_url"] = ask("the URL of its API's host?", "https://api.example.com", _url_problem)
    variables: list[str] = []
    section["auth"] = _auth(ask, connector, name, variables)
    for key, option in connector.options_model.model_fields.items():
        if option.is_required() and key not in _REST:
            section[key] = {"env": _variable(ask, name, key, variables)}
    if kind == "rest":
        section |= _REST
    inventory = _inventory(ask, given.inventory, path, name)
    return {**({"inventory": inventory} if inventory else {}), "carriers": {name: section}}, variables


def _usable(given: str | None, option: str, problem_of: Callable[[str], str | None]) -> str | None:
    """Return what an option says, None where it is not given."""
    if given is not None and (problem := problem_of(given)):
        raise InputError(f"{option}: expected {problem}, found {given!r}")
    return given


def _auth(ask: _Asking, connector: "Connector", name: str, variables: list[str]) -> dict[str, Any]:
    """Return the credentials by the connector's keys, each from a variable; a declared carrier has a bearer token."""
    fields = getattr(connector.auth_model, "model_fields", None)
    if fields is None:
        return {"type": "bearer", "token": {"env": _variable(ask, name, "token", variables)}}
    needed = [key for key, one in fields.items() if one.is_required()]
    return {key: {"env": _variable(ask, name, key, variables)} for key in needed}


def _variable(ask: _Asking, carrier: str, key: str, variables: list[str]) -> str:
    proposed = re.sub(r"[^A-Z0-9]", "_", f"{carrier}_{key}".upper())
    if proposed[:1].isdigit():
        proposed = f"_{proposed}"
    found = ask(
        f"which environment variable holds its {key}? (its name, never the secret)", proposed, _variable_problem
    )
    variables.append(found)
    return found


def _inventory(ask: _Asking, given: str | None, config: Path, carrier: str) -> dict[str, Any] | None:
    """Return the section of our own list, as its header names the columns; None where there is no list yet."""
    place = ask("our own list as a CSV file? (Enter: none yet)", "") if given is None else given
    if not place:
        return None
    columns = _columns(config.parent / place)
    section: dict[str, Any] = {"type": "csv", "path": place, "columns": columns}
    return section if "carrier" in columns else {**section, "carriers": [carrier]}


def _columns(path: Path) -> dict[str, str]:
    """Return our names of the columns beside the file's; where it cannot be read yet, the ICCIDs' alone."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(_LONGEST_HEADER)
    except (OSError, ValueError):  # no CSV, or a name that no file can have
        line = ""
    delimiter = max(",;\t|", key=line.count)
    header = next(csv.reader([line], delimiter=delimiter), []) if line.strip() else []
    plain = {re.sub(r"[^a-z]", "", cell.lower()): cell.strip() for cell in reversed(header)}
    found = {
        ours: next(plain[word] for word in words if word in plain)
        for ours, words in _COLUMN_NAMES.items()
        if any(word in plain for word in words)
    }
    return found if "iccid" in found or "eid" in found else {"iccid": "ICCID", **found}


# What is wrong with an answer, as what was expected.


def _one_of(known: Mapping[str, object]) -> Callable[[str], str | None]:
    return lambda answer: None if answer in known else f"one of {', '.join(known)}"


def _name_problem(answer: str) -> str | None:
    is_name = CARRIER_NAME.fullmatch(answer) is not None and len(answer) <= 100
    return None if is_name else "letters, digits, dashes, underscores and single dots, at most 100"


def _variable_problem(answer: str) -> str | None:
    # What was typed is not shown: it may be the secret itself.
    return None if _VARIABLE.fullmatch(answer) else "a name of capital letters, digits and underscores, such as API_KEY"


def _url_problem(answer: str) -> str | None:
    from sim_sync.config.carrier import base_url_problem

    return base_url_problem(answer, allow_insecure=False)
