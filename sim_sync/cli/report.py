"""`sim-sync report`: writes the report that a manager opens into one file. Jinja2 and pygal are loaded for it alone."""

from collections.abc import Sequence
from pathlib import Path

from sim_sync.cli.exports import replacing
from sim_sync.config import Config, load_config
from sim_sync.core.clocks import parse_since
from sim_sync.core.report import Report, sentences
from sim_sync.files import make_private_file
from sim_sync.report.page import collect, page
from sim_sync.terminal.output import ExitCode, print_document, say
from sim_sync.warehouse import open_warehouse_to_read

#: Where the report goes that is to go to standard output.
_STANDARD_OUTPUT = "-"
#: A new file is its owner's alone; one that is replaced keeps its mode, of which this is what can be given to it.
_MODE = 0o777


def write_report(*, output: str, carrier: str | None, since: str) -> ExitCode:
    """Write the report of all carriers, or of one, into a file or to standard output."""
    config = load_config()
    carriers = config.names_of(carrier)
    if output == _STANDARD_OUTPUT:
        print_document(page(_collected(config, carriers, since)))
        return ExitCode.DONE
    path = Path(output)
    with replacing(path) as part:
        make_private_file(part)  # before anything is counted: a place that cannot be written is told at once
        report = _collected(config, carriers, since)
        part.write_text(page(report), encoding="utf-8")
        if path.exists():
            part.chmod(path.stat().st_mode & _MODE)
    say(f"{output}: {sentences(report)[0]}")
    return ExitCode.DONE


def _collected(config: Config, carriers: Sequence[str], since: str) -> Report:
    warehouse = open_warehouse_to_read(config.warehouse_url)
    begin = parse_since(since, warehouse.sessions.now())
    ages = {name: config.max_age_hours(name) for name in carriers}
    return collect(warehouse, ages, begin, with_list=[name for name in carriers if config.has_list_of(name)])
