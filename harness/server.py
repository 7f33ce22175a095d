"""The server: PID 1 of the sandbox, one order at a time.

Orders (head of a frame, with its body):

- `put`: path, append; the body is the content, or its next part
- `read`: path, limit; answered with the content
- `list`: limit
- `run`: argv, timeout, environment; the body is its stdin
- `trial`: code, entrypoint, data, cash, commission, spread, finalize, timeout, environment
- `prepare`: makes the process of the first trial ahead of it
- `end`: everything in the sandbox ends; answered once it has, then the server ends too

Answers have `ok`; where it is false, `kind` and `message`. A trial finds what was put, and nothing that was left behind
before it. Its process is its own, a fork of this one, made as it is ordered. For a sandbox's first trial it may have
been made ahead, confined and warm; untrusted code never finds it waiting. An order that isn't understood, a host that
hangs up, or the end of the sandbox's life ends the server and with it everything in its namespace.
"""

import os
import pickle
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from harness.confine import Config, limit_life, protect_server
from harness.processes import READY, Processes, kill_everything
from harness.wire import HostGone, read_frame, write_frame
from harness.workspace import Refused, Workspace

SOURCE_LIMIT = 4 << 20
DATA_LIMIT = 512 << 20
REPORT_LIMIT = 32 << 20
SENT = (
    1 << 20
)  # bytes of data above which forking is faster than sending them to a process that was made ahead
STARTUP = os.path.join(os.path.dirname(__file__), "startup")
ENVIRONMENT = {
    "PATH": "/opt/python/bin:/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TMPDIR": "/tmp",  # noqa: S108 - the sandbox's own
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def serve(config: Config) -> None:
    """Reads orders from stdin and answers on stdout until stdin ends."""
    protect_server(config.user)
    limit_life(config.life)
    source, sink = _take_streams()
    # only now: no library runs before the privileges are gone
    from harness import engine, trial

    engine.warm_up()
    workspace = Workspace(config.workspace, config.scratch)
    processes = Processes(config, workspace, source)
    server = _Server(config, workspace, processes, engine, trial)
    write_frame(sink, {"ok": True, "pid": os.getpid(), "user": os.getuid(), "python": sys.version.split()[0]})
    try:
        order, body = read_frame(source)
        while order["do"] != "end":
            write_frame(sink, *server.answer(order, body))
            order, body = read_frame(source)
        kill_everything()
        write_frame(sink, {"ok": True})
    except (HostGone, BrokenPipeError):
        kill_everything()


def _take_streams() -> tuple[int, int]:
    """The protocol's two ends, out of the way of 0 and 1, which become /dev/null."""
    source, sink = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(null, standard)
    os.close(null)
    return source, sink


class _Server:
    def __init__(
        self,
        config: Config,
        workspace: Workspace,
        processes: Processes,
        engine: ModuleType,
        trial: ModuleType,
    ) -> None:
        self._config = config
        self._workspace = workspace
        self._processes = processes
        self._engine = engine
        self._run_trial: Callable[..., int] = trial.run_trial
        self._bars: tuple[str | None, Any] = (None, None)
        self._used = False  # whether untrusted code has run
        self._environment = ENVIRONMENT | {
            "HOME": config.workspace,
            "PYTHONPATH": os.pathsep.join([*config.libraries, STARTUP]),
        }

    def answer(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        actions = {
            "put": self._put,
            "read": self._read,
            "list": self._list,
            "run": self._run,
            "trial": self._trial,
            "prepare": self._prepare,
        }
        try:
            return actions[order["do"]](order, body)
        except Refused as refusal:
            return {"ok": False, "kind": refusal.kind, "message": str(refusal)}, b""
        except OSError as error:
            # the workspace is hostile ground: whatever was made of it must not end the server
            return {"ok": False, "kind": "path", "message": f"{order['do']}: {error.strerror}"}, b""

    def _put(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        self._workspace.put(order["path"], body, order["append"])
        return {"ok": True}, b""

    def _read(self, order: dict[str, Any], _: bytes) -> tuple[dict[str, Any], bytes]:
        return {"ok": True}, self._workspace.read(order["path"], order["limit"])

    def _list(self, order: dict[str, Any], _: bytes) -> tuple[dict[str, Any], bytes]:
        return {"ok": True, "entries": self._workspace.entries(order["limit"])}, b""

    def _run(self, order: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        self._used = True
        self._processes.discard()
        argv = order["argv"]
        environment = self._environment | order["environment"]

        def replace_child(_: int) -> int:
            try:
                os.execvpe(argv[0], argv, environment)  # noqa: S606 - what it is for; no shell
            except OSError as error:
                os.write(2, f"{argv[0]}: {error.strerror}\n".encode(errors="replace"))
                return 126 if isinstance(error, PermissionError) else 127

        outcome = self._processes.run(replace_child, order["timeout"], stdin=body)
        return {"ok": True} | outcome.head(), outcome.body()

    def _prepare(self, _order: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
        """Where untrusted code has run before, the process is made when the trial is ordered."""
        if self._used:
            return {"ok": True}, b""

        def wait_and_run(report: int) -> int:
            self._enter_environment()
            self._engine.walk()
            os.write(report, READY)
            with open(0, "rb", closefd=False) as orders:
                return self._run_trial(report, **pickle.load(orders))  # noqa: S301 - the server's own

        self._processes.prepare(wait_and_run)
        self._engine.make_up_bars()  # the fork shared the pages that reading data writes to: now copies are there
        return {"ok": True}, b""

    def _trial(self, order: dict[str, Any], _: bytes) -> tuple[dict[str, Any], bytes]:
        self._workspace.clear()
        source, _digest = self._workspace.read_put(order["code"], SOURCE_LIMIT)
        bars = self._read_bars(order["data"])
        wanted = {
            "path": order["code"],
            "source": source,
            "entrypoint": order["entrypoint"],
            "bars": bars,
            "order": order,
        }

        def trial(report: int) -> int:
            self._enter_environment()
            return self._run_trial(report, **wanted)

        self._used = True
        if self._processes.prepared and bars.to_numpy().nbytes <= SENT:
            sent = pickle.dumps(wanted, protocol=pickle.HIGHEST_PROTOCOL)
            outcome = self._processes.run_prepared(order["timeout"], sent, REPORT_LIMIT)
        else:
            self._processes.discard()
            outcome = self._processes.run(trial, order["timeout"], report_limit=REPORT_LIMIT)
        return {"ok": True} | outcome.head(), outcome.body()

    def _enter_environment(self) -> None:
        os.environ.clear()
        os.environ.update(self._environment)

    def _read_bars(self, path: str) -> Any:
        """The bars, parsed once for all trials on the same bytes."""
        content, digest = self._workspace.read_put(path, DATA_LIMIT)
        if self._bars[0] != digest:
            try:
                self._bars = (digest, self._engine.read_bars(content))
            except (ValueError, KeyError) as error:
                raise Refused("path", f"'{path}' is not the canonical CSV of market data: {error}") from error
        return self._bars[1]
