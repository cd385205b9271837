"""The state diagram of `docs/how-a-sync-survives.md`, generated from the transition table.

`python -m sim_sync_tests.docs.state_diagram` writes it into the document.
"""

import re
from pathlib import Path

from sim_sync.core.session import FINAL_STATES, TRANSITIONS, State

DOCUMENT = Path(__file__).parents[2] / "docs" / "how-a-sync-survives.md"
_BLOCK = re.compile(r"```mermaid\n.*?```\n", re.DOTALL)


def state_diagram() -> str:
    """Return the transition table as a Mermaid state diagram, ways between the same two states on one arrow."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (before, event), after in TRANSITIONS.items():
        arrows.setdefault((before, after), []).append(event.value)
    lines = ["stateDiagram-v2", f"    [*] --> {State.RUNNING.value}: opened by a run"]
    lines.append(f"    [*] --> {State.FAILED.value}: not even opened")
    for (before, after), events in arrows.items():
        lines.append(f"    {before.value} --> {after.value}: {', '.join(events)}")
    lines += [f"    {state.value} --> [*]" for state in State if state in FINAL_STATES]
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def document_with(diagram: str) -> str:
    """Return the document with its diagram replaced by this one."""
    return _BLOCK.sub(lambda _match: diagram, DOCUMENT.read_text(encoding="utf-8"), count=1)


if __name__ == "__main__":
    DOCUMENT.write_text(document_with(state_diagram()), encoding="utf-8")
