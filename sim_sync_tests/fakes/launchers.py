"""A run launcher of Dagster whose runs do what a test wants of their start."""

import threading
import time
from pathlib import Path

from dagster import DagsterEvent, DagsterEventType, DefaultRunLauncher
from dagster._core.launcher import LaunchRunContext

#: The carriers whose runs start late, and those whose runs are lost with their host once they have started.
LATE, LOST = "late", "lost"
#: The file in the Dagster home that lets the late ones start.
LET_START = "let-start"
_LOOK_EVERY_SECONDS = 0.1


class StagedLauncher(DefaultRunLauncher):
    """Launches as Dagster does by default, but for the carriers above."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Return at once, as launchers of containers do; what has become of the container is seen later."""
        match context.dagster_run.tags.get("dagster/partition"):
            case str(carrier) if carrier == LATE:
                threading.Thread(target=self._launch_late, args=(context,), daemon=True).start()
            case str(carrier) if carrier == LOST:
                self._lose(context)
            case _:
                super().launch_run(context)

    def _launch_late(self, context: LaunchRunContext) -> None:
        while not (Path(self._instance.root_directory) / LET_START).exists():
            time.sleep(_LOOK_EVERY_SECONDS)
        super().launch_run(context)

    def _lose(self, context: LaunchRunContext) -> None:
        """Leave the run as a host leaves it that dies in the second after the run's start."""
        run = context.dagster_run
        self._instance.report_dagster_event(DagsterEvent(DagsterEventType.RUN_START.value, run.job_name), run.run_id)
