"""A run launcher of Dagster whose runs do what a test wants of their start."""

import os
import signal
import threading
import time
from pathlib import Path

from dagster import DagsterEvent, DagsterEventType, DefaultRunLauncher
from dagster._core.launcher import LaunchRunContext

#: The carrier whose runs start late, the one whose runs are killed as soon as they have a process, and the one whose
#: runs are lost with their host once they have started.
LATE, DYING, LOST = "late", "dying", "lost"
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
            case str(carrier) if carrier == DYING:
                super().launch_run(context)
                os.kill(self._process_of(context.dagster_run.run_id), signal.SIGKILL)
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

    def _process_of(self, run_id: str) -> int:
        """Wait until Dagster tells the number of the run's process, seconds before it comes to its first step."""
        while True:
            for entry in self._instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
                _, found, number = (entry.user_message or entry.message).partition("Started process for run (pid: ")
                if found:
                    return int(number.partition(")")[0])
            time.sleep(_LOOK_EVERY_SECONDS)
