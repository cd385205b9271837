"""How long the way of a page is, and what there is to read: `python -m sim_sync_tests.bench.structure TREE ...`.

For each checkout named (this one by default): files and functions that one page passes, own frames on the stack,
modules and lines, and the CPU seconds of two imports. Each is measured by its own code, so revisions can be compared:
`git worktree add ../before REV`, then name both. It relies on nothing but the command `sim-sync simulate`, the worker's
`sync_once` and the store's method `commit_page`.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

THIS = Path(__file__).parents[2]
_SIMS, _PAGE_SIZE = 500, 100
_TRACED_PAGE = 3

#: Runs in the measured checkout: walks a simulated carrier and follows its third page.
_TRACE = """
import json, os, sys, threading
from pathlib import Path
from sim_sync.config import load_config
from sim_sync.warehouse import open_warehouse
try:
    from sim_sync.worker.work import sync_once
except ImportError:  # its module's name until 2026-11
    from sim_sync.worker.carrier_work import sync_once

package, config_path, traced_page = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
config = load_config(config_path, environ=os.environ)
warehouse = open_warehouse(config.warehouse_url)
commits, functions, depth, deepest, calls = 0, set(), 0, 0, 0

def own(frame):
    found = 0
    while frame is not None:
        found += frame.f_code.co_filename.startswith(package)
        frame = frame.f_back
    return found

def profile(frame, event, argument):
    global commits, deepest, calls
    code = frame.f_code
    if not code.co_filename.startswith(package):
        return
    is_commit = code.co_name == "commit_page" and os.sep + "warehouse" + os.sep in code.co_filename
    if event == "call" and commits == traced_page - 1:
        calls += 1
        functions.add((code.co_filename, code.co_qualname))
        deepest = max(deepest, own(frame))
    if event == "return" and is_commit:
        commits += 1

threading.setprofile(profile)  # what is asked ahead is sent by other threads
sys.setprofile(profile)
sync_once(config.carrier("acme"), warehouse.sessions, owner="structure", gone_owners=())
sys.setprofile(None)
outermost = 1  # sync_once itself
print(json.dumps({
    "files of one page": len({name for name, _ in functions}),
    "functions of one page": len(functions),
    "calls of one page": calls,
    "own frames deep": deepest - outermost,
}))
"""


def measure(tree: Path) -> dict[str, float]:
    """Return the figures of one checkout."""
    return _counts(tree / "sim_sync") | way_of_a_page(tree) | _imports(tree)


def _counts(package: Path) -> dict[str, float]:
    sources = [path for path in package.rglob("*.py") if "versions" not in path.parts]
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in sources)
    return {"modules": len(sources), "lines": lines}


def way_of_a_page(tree: Path = THIS) -> dict[str, float]:
    """Return how many files and functions one page passes, with how many calls and how deep."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sim_sync", "simulate", "--quiet", "--sims", str(_SIMS)]
        with subprocess.Popen(command, cwd=folder, env=_environment(tree), stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                return _traced(tree, Path(folder), json.loads(server.stdout.readline())["url"])
            finally:
                server.terminate()


def _traced(tree: Path, folder: Path, url: str) -> dict[str, float]:
    from sim_sync.simulator.credentials import SIMULATED_CREDENTIALS

    carrier = {
        "type": "twilio_super_sim",
        "base_url": url,
        "page_size": _PAGE_SIZE,
        "auth": dict(SIMULATED_CREDENTIALS),
    }
    config = folder / "carriers.yaml"
    document = {"warehouse": {"url": f"sqlite:///{folder}/warehouse.db"}, "carriers": {"acme": carrier}}
    config.write_text(json.dumps(document), encoding="utf-8")
    command = [sys.executable, "-c", _TRACE, str(tree / "sim_sync"), str(config), str(_TRACED_PAGE)]
    ended = subprocess.run(command, cwd=folder, env=_environment(tree), capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _imports(tree: Path) -> dict[str, float]:
    return {
        f"CPU s of import {module}": _import_seconds(tree, module)
        for module in ("sim_sync.core.sync", "sim_sync.config")
    }


def _import_seconds(tree: Path, module: str) -> float:
    """Return the CPU seconds of importing a module, those of an empty interpreter excluded; the best of five."""

    def spent(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], env=_environment(tree), check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    pairs = [(spent(f"import {module}"), spent("pass")) for _ in range(5)]
    return round(max(min(took for took, _ in pairs) - min(empty for _, empty in pairs), 0.0), 2)


def _environment(tree: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SIM_SYNC_", "DAGSTER_"))}
    return own | {"PYTHONPATH": str(tree)}


def main(trees: list[str]) -> None:
    """Print the figures of each checkout beside each other."""
    measured = [(tree, measure(Path(tree).resolve())) for tree in trees or [str(THIS)]]
    width = max(len(what) for what in measured[0][1])
    for what in measured[0][1]:
        sys.stdout.write("  ".join([what.ljust(width), *(f"{figures[what]:>10,g}" for _, figures in measured)]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
