"""An API server that knows Jobs and their pods: as much of Kubernetes as Dagster's launcher asks for.

What is posted must be a valid Job. Its pod is a process tree of this machine, with a name, a process table and files of
its own; it is told to end as a kubelet tells it, by SIGTERM to its process 1.
"""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import psutil
import yaml

from sim_sync_tests.fakes.containers import on_host

#: The version of Kubernetes that is played.
VERSION = "1.35"
PATIENCE_SECONDS = 60.0
_DONE = {"kind": "Status", "apiVersion": "v1", "status": "Success"}


@dataclass
class Pod:
    """A Job, and its one pod: not there yet, at work, or over."""

    job: Mapping[str, Any]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def name(self) -> str:
        """The name of the Job and of its pod."""
        return str(self.job["metadata"]["name"])

    @property
    def run_id(self) -> str:
        """The run of Dagster that it is for."""
        return str(self.job["metadata"]["labels"]["dagster/run-id"])

    def end(self) -> None:
        """Tell its process 1 to end, as a kubelet does when a pod is deleted."""
        if self.process is not None:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(self.process.pid).children():
                    child.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Take its node away."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)

    def described(self) -> dict[str, Any]:
        """Return the Job with its status."""
        code = None if self.process is None else self.process.poll()
        over = self.process is not None and code is not None
        counts = {"succeeded" if code == 0 else "failed": 1} if over else {"active": 1}
        return {**self.job, "status": counts}


@dataclass
class KubernetesApi:
    """The Jobs that were posted, in their order, and those that were refused."""

    folder: Path
    own_folders: Sequence[Path]
    environment: Mapping[str, str]
    #: Whether the pod of a Job starts now; one that does not waits for a node.
    has_a_node: Callable[[Mapping[str, Any]], bool]
    pods: list[Pod] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)

    def pod_of(self, run_id: str) -> Pod | None:
        """Return the pod of a run."""
        return next((pod for pod in self.pods if pod.run_id == run_id), None)

    def place_pods(self) -> None:
        """Start the pods for which there is a node."""
        for pod in self.pods:
            if pod.process is None and pod.name not in self.deleted and self.has_a_node(pod.job):
                pod.process = self._start(pod)

    def _start(self, pod: Pod) -> "subprocess.Popen[bytes]":
        (container,) = pod.job["spec"]["template"]["spec"]["containers"]
        told = {one["name"]: one["value"] for one in container["env"] if "value" in one}
        program, *arguments = container["args"]
        assert program == "dagster"
        # A pod has no account: it could not talk to this server if it wanted to.
        command = ["sh", "-c", f'rm {self.kubeconfig} && exec "$@"', "sh", sys.executable, "-m", "dagster", *arguments]
        with (self.folder / f"{pod.name}.log").open("wb") as output:
            return subprocess.Popen(
                [*on_host(pod.name, *self.own_folders, self.folder), *command],
                env={**told, **self.environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def kubeconfig(self) -> Path:
        """The file by which clients find this server."""
        return self.folder / "kubeconfig"

    def answer(self, method: str, path: str, query: Mapping[str, Sequence[str]], body: Any) -> tuple[int, Any]:
        """Return status and body of an answer."""
        place = path.strip("/").split("/")
        return self._look(place, query) if method == "GET" else self._change(method, place, body)

    def _look(self, place: Sequence[str], query: Mapping[str, Sequence[str]]) -> tuple[int, Any]:
        match place:
            case ["apis", "batch", "v1", "namespaces", _, "jobs", name, "status"]:
                return next(((200, pod.described()) for pod in self._there(name)), (404, {}))
            case ["api", "v1", "namespaces", _, "pods"]:
                _, _, name = query.get("labelSelector", [""])[0].partition("job-name=")
                return 200, {"items": [{"metadata": {"name": pod.name}} for pod in self._there(name)]}
            case ["api", "v1", "namespaces", _, "events"]:
                return 200, {"items": []}  # what happened to a pod, for people
        return 404, {"message": f"not here: {place}"}

    def _change(self, method: str, place: Sequence[str], body: Any) -> tuple[int, Any]:
        match (method, place):
            case ("POST", ["apis", "batch", "v1", "namespaces", _, "jobs"]):
                return self._create(body)
            case ("DELETE", ["apis", "batch", "v1", "namespaces", _, "jobs", name]):
                self.deleted.add(name)
                return 200, _DONE
            case ("DELETE", ["api", "v1", "namespaces", _, "pods", name]):
                for pod in self.pods:
                    if pod.name == name:
                        pod.end()
                return 200, _DONE
        return 404, {"message": f"not here: {method} {place}"}

    def _there(self, name: str) -> Sequence[Pod]:
        return [pod for pod in self.pods if pod.name == name and name not in self.deleted]

    def _create(self, job: Any) -> tuple[int, Any]:
        try:
            kubernetes_validate.validate(job, VERSION, strict=True)
        except kubernetes_validate.ValidationError as wrong:
            self.refused.append(str(wrong))
            return 422, {"message": str(wrong)}
        self.pods.append(Pod(job))
        self.place_pods()
        return 201, self.pods[-1].described()


@contextmanager
def running_kubernetes_api(api: KubernetesApi) -> Iterator[KubernetesApi]:
    """Serve on loopback, and leave no pod behind."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            with turn:
                status, found = api.answer(self.command, url.path, parse_qs(url.query), body)
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    turn = threading.Lock()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.folder.mkdir(exist_ok=True)
    api.kubeconfig.write_text(yaml.safe_dump(client_settings(server.server_port)), encoding="utf-8")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_SECONDS)
        for pod in api.pods:
            pod.kill()


def client_settings(port: int) -> dict[str, Any]:
    """Return what a kubeconfig says of a server on loopback that knows nobody by name."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
    }
