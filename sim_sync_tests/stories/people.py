"""What a person does in Dagster's UI, by the requests that its buttons send."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sim_sync_tests.stories.place import CARRIER, Workspace
from sim_sync_tests.ui.project import ask, free_port

_JOB = 'repositoryLocationName: "sim_sync", repositoryName: "__repository__"'


@dataclass(frozen=True)
class Person:
    """Somebody in front of a UI."""

    url: str

    def launch(self, carrier: str = CARRIER, **opening: Any) -> str:
        """Press *Launch run* of the job, with some config of `open_session`; return the run."""
        config = {"ops": {"carrier_sims": {"ops": {"open_session": {"config": opening}}}}} if opening else {}
        return self._launch('jobName: "reconcile_carrier"', carrier, config)

    def materialize(self, carrier: str, assets: Sequence[str]) -> str:
        """Press *Materialize* of some assets; return the run."""
        paths = ", ".join(f'{{path: ["{asset}"]}}' for asset in assets)
        return self._launch(f'jobName: "__ASSET_JOB", assetSelection: [{paths}], assetCheckSelection: []', carrier, {})

    def execute_again(self, run_id: str, strategy: str) -> str:
        """Press *Re-execute*, with `ALL_STEPS` or `FROM_FAILURE`; return the new run."""
        params = f'parentRunId: "{run_id}", strategy: {strategy}'
        mutation = f"""mutation {{ launchRunReexecution(reexecutionParams: {{{params}}}) {{
            ... on LaunchRunSuccess {{ run {{ runId }} }} ... on Error {{ message }} }} }}"""
        return _run_id(ask(self.url, mutation)["launchRunReexecution"])

    def terminate(self, run_id: str) -> None:
        """Press *Terminate*."""
        mutation = f'mutation {{ terminateRun(runId: "{run_id}") {{ __typename ... on Error {{ message }} }} }}'
        answer = ask(self.url, mutation)["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def _launch(self, job: str, carrier: str, config: Mapping[str, Any]) -> str:
        params = f"""selector: {{{_JOB}, {job}}}, mode: "default",
            runConfigData: {json.dumps(json.dumps(config))},
            executionMetadata: {{tags: [{_tag("dagster/partition", carrier)}, {_tag("sim_sync/carrier", carrier)}]}}"""
        mutation = f"""mutation {{ launchRun(executionParams: {{{params}}}) {{
            ... on LaunchRunSuccess {{ run {{ runId }} }} ... on Error {{ message }} }} }}"""
        return _run_id(ask(self.url, mutation)["launchRun"])


def _tag(key: str, value: str) -> str:
    return f'{{key: "{key}", value: "{value}"}}'


def _run_id(answer: Any) -> str:
    assert "run" in answer, answer
    return str(answer["run"]["runId"])


@contextmanager
def person_at_work(place: Workspace, *host: str) -> Iterator[Person]:
    """Serve the UI with its daemon, as `make dev` does, and yield who sits in front of it.

    `host` is the command that runs a command on a host of its own.
    """
    person = Person(f"http://127.0.0.1:{(port := free_port())}")
    command = [*host, sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-p", str(port)]

    def is_served() -> bool | None:
        with suppress(OSError):
            ask(person.url, "{ version }")
            return True
        return None

    with place.process(*command, log="dev.log"):
        place.wait_for(is_served, "the UI to be served")
        yield person
