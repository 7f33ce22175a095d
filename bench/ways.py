"""Ways of running one backtest apart from oneself: each returns its trades and leaves nothing behind, where it can.

Those of others run in an image of this module's own: the sandbox image's libraries, the job and its data laid in, and
what swe-rex needs inside.
"""

import asyncio
import json
import os
import queue
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import distribution, requires
from pathlib import Path
from typing import Any

import docker
from backtesting import Backtest, backtesting
from backtesting.test import GOOG
from packaging.requirements import Requirement

from schemas.sandbox import Limits, TrialOrder
from services.sandboxes import SandboxManager, SandboxProvider, default_providers
from services.sandboxes.docker import DEFAULT_IMAGE, list_containers
from services.sandboxes.leased import OWNER, this_process
from services.sandboxes.packages import MissingPackage, closure

backtesting._tqdm = lambda bars, **_: bars  # its progress bar: a line for each run, which trials don't write

IMAGE = "genesis-bench:latest"
LABEL = "genesis.bench"
LIMITS = Limits()
STRATEGY = """
import talib
from backtesting import Strategy


class Reversal(Strategy):
    def init(self):
        self.rsi = self.I(talib.RSI, self.data.Close, 14)

    def next(self):
        if not self.position and self.rsi[-1] < 30:
            self.buy(size=0.95, sl=self.data.Close[-1] * 0.9)
        elif self.position and self.rsi[-1] > 70:
            self.position.close()
"""
JOB = f"""
import json, sys
import pandas as pd
from backtesting import Backtest
{STRATEGY}
bars = pd.read_csv({{data!r}}, index_col=0, parse_dates=True)
stats = Backtest(bars, Reversal, cash=100_000, commission=0.002, finalize_trades=True).run()
print(json.dumps(stats._trades[["Size", "EntryBar", "ExitBar"]].values.tolist()))
"""
BARS = GOOG.to_csv(index_label="Date", date_format="%Y-%m-%dT%H:%M:%SZ").encode()
INSIDE = JOB.format(data="/opt/bench/bars.csv")
DOCKERFILE = f"""
FROM {DEFAULT_IMAGE}
USER 0
RUN ln -sf /usr/bin/python3 /usr/local/bin/python \\
 && mkdir -p /sandbox/.sandbox-venv/bin && ln -s /usr/bin/python3 /sandbox/.sandbox-venv/bin/python
COPY bench /opt/bench
COPY rex /opt/rex
ENV PYTHONPATH=/opt/site:/opt/rex
RUN printf '#!/bin/sh\\nexec python3 -m swerex.server "$@"\\n' >/usr/local/bin/swerex-remote \\
 && chmod 755 /usr/local/bin/swerex-remote
ENTRYPOINT []
CMD ["sleep", "infinity"]
"""
Trades = list[list[float]]


class Way:
    """`name` as the table has it; `slow`: worth fewer repeats; `single`: can't be run side by side;
    `ready`: the trials that it can be ready for at once."""

    name: str
    slow = False
    single = False
    ready = 1

    def prepare(self, _: int) -> None:
        """Whatever must be ready before the clock starts, for so many trials."""

    def trial(self, result_is_there: Callable[[], None]) -> Trades:
        """One trial; returns when its caller may go on."""
        raise TypeError(f"{type(self).__name__} is no way of running anything")

    def settle(self) -> None:
        """Returns when everything that was made for earlier trials is gone, where `trial` doesn't wait for that."""

    def close(self) -> None:
        """End what is kept."""


class InProcess(Way):
    """What everybody else is compared with: everything imported, the bars parsed, no isolation."""

    name = "bare, in this process, already imported"
    single = True

    def __init__(self) -> None:
        space: dict[str, Any] = {}
        exec(compile(STRATEGY, "strategy.py", "exec"), space)
        self._strategy = space["Reversal"]

    def trial(self, result_is_there: Callable[[], None]) -> Trades:
        backtest = Backtest(GOOG, self._strategy, cash=100_000, commission=0.002, finalize_trades=True)
        trades: Trades = backtest.run()._trades[["Size", "EntryBar", "ExitBar"]].to_numpy().tolist()
        result_is_there()
        return trades


class Subprocess(Way):
    name = "bare subprocess"
    slow = True

    def __init__(self, scratch: Path) -> None:
        data = scratch / "bars.csv"
        data.write_bytes(BARS)
        self._argv = [sys.executable, "-c", JOB.format(data=str(data))]

    def trial(self, result_is_there: Callable[[], None]) -> Trades:
        ran = subprocess.run(self._argv, capture_output=True, text=True, check=True)
        result_is_there()
        trades: Trades = json.loads(ran.stdout)
        return trades


class DockerRun(Way):
    name = "`docker run --rm`"
    slow = True

    def trial(self, result_is_there: Callable[[], None]) -> Trades:
        argv = [
            "docker",
            "run",
            "--rm",
            "--network",
            "none",
            "--label",
            f"{LABEL}=run",
            IMAGE,
            "python3",
            "-c",
            INSIDE,
        ]
        ran = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
        result_is_there()
        trades: Trades = json.loads(ran.stdout)
        return trades


class DockerPy(Way):
    name = "docker-py, `containers.run(remove=True)`"
    slow = True

    def trial(self, result_is_there: Callable[[], None]) -> Trades:
        client = docker.from_env(timeout=120)
        said = client.containers.run(
            IMAGE, ["python3", "-c", INSIDE], remove=True, network_mode="none", labels={LABEL: "py"}
        )
        result_is_there()
        client.close()
        trades: Trades = json.loads(said)
        return trades


class LlmSandbox(Way):
    name = "llm-sandbox {version}, fresh, SIGKILL as stop signal"
    slow = True

    def __init__(self) -> None:
        from llm_sandbox import SandboxSession

        self._session = SandboxSession

    def trial(self, result_is_there: Callable[[], None]) -> Trades:
        settings = {"stop_signal": "SIGKILL", "network_mode": "none", "labels": {LABEL: "llm"}}
        with self._session(
            lang="python",
            image=IMAGE,
            keep_template=True,
            skip_environment_setup=True,
            runtime_configs=settings,
        ) as session:
            said = session.run(INSIDE)
            result_is_there()
        trades: Trades = json.loads(said.stdout)
        return trades


class LlmPool(Way):
    name = "llm-sandbox {version}, its pool: containers reused"
    slow = True
    SIZE = 16

    def __init__(self) -> None:
        from llm_sandbox.pool import PoolConfig, create_pool_manager
        from llm_sandbox.pool.session import PooledSandboxSession

        self._session = PooledSandboxSession
        self._pool = create_pool_manager(
            config=PoolConfig(max_pool_size=self.SIZE, min_pool_size=self.SIZE, acquisition_timeout=120.0),
            image=IMAGE,
            keep_template=True,
            skip_environment_setup=True,
            runtime_configs={"stop_signal": "SIGKILL", "network_mode": "none", "labels": {LABEL: "llm-pool"}},
        )

    def trial(self, result_is_there: Callable[[], None]) -> Trades:
        with self._session(pool_manager=self._pool) as session:
            said = session.run(INSIDE)
            result_is_there()
        trades: Trades = json.loads(said.stdout)
        return trades

    def close(self) -> None:
        self._pool.close()


class SweRex(Way):
    name = "swe-rex {version} in Docker"
    slow = True

    def trial(self, result_is_there: Callable[[], None]) -> Trades:
        return asyncio.run(asyncio.wait_for(self._trial(result_is_there), 60))

    @staticmethod
    async def _trial(result_is_there: Callable[[], None]) -> Trades:
        from swerex.deployment.docker import DockerDeployment
        from swerex.runtime.abstract import Command

        deployment = DockerDeployment(
            image=IMAGE, pull="never", startup_timeout=40.0, docker_args=["--label", f"{LABEL}=rex"]
        )
        try:
            await deployment.start()
            said = await deployment.runtime.execute(Command(command=["python3", "-c", INSIDE], timeout=40))
            result_is_there()
        finally:
            await deployment.stop()
        trades: Trades = json.loads(said.stdout)
        return trades


class Ours(Way):
    """Through the manager, as the worker does: lease, put code and data, trial, release. `warm`: the lease comes from
    the stock, each sandbox of which is used once; its refilling goes on in the background (the stock begins a moment
    after a lease)."""

    ready = 16

    def __init__(self, provider: str, scratch: Path, *, warm: bool, runtime: str = "") -> None:
        under = f" under {runtime}" if runtime else ""
        self.name = f"Genesis, {provider}{under}, {'warm' if warm else 'cold'}"
        self.slow = not warm
        made = default_providers(scratch / "state", order=[provider], image=DEFAULT_IMAGE, runtime=runtime)  # type: ignore[list-item]
        self.provider: SandboxProvider = made[0]
        self.provider.check()
        self.manager = SandboxManager(
            made, scratch / "leases", ready=self.ready if warm else 0, limits=LIMITS
        )
        self._warm = warm
        self._used: queue.SimpleQueue[str] = queue.SimpleQueue()

    def prepare(self, count: int) -> None:
        self.manager.start()
        deadline = time.monotonic() + 240
        while self._warm and len(self.manager.stock) < min(count, self.ready):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}: the stock was not filled")
            time.sleep(0.005)

    def trial(self, result_is_there: Callable[[], None]) -> Trades:
        name = f"bench-{uuid.uuid4().hex[:12]}"
        sandbox = self.manager.lease(name)
        self._used.put(getattr(sandbox, "container", ""))
        try:
            sandbox.put({"strategy.py": STRATEGY.encode(), "bars.csv": BARS})
            order = TrialOrder(
                code="strategy.py", entrypoint="Reversal", data="bars.csv", cash=100_000, commission=0.002
            )
            result = sandbox.trial(order, timeout=60)
            result_is_there()
        finally:
            self.manager.release(name)
        assert result.trades is not None, result.error
        signs = {"long": 1, "short": -1}
        return [[signs[t["side"]] * t["size"], t["entry_bar"], t["exit_bar"]] for t in result.trades]

    def settle(self) -> None:
        """Docker's daemon removes the empty container after the release."""
        while not self._used.empty():
            container = self._used.get()
            while container and list_containers(docker.from_env(), {"id": container}):
                time.sleep(0.002)

    def close(self) -> None:
        self.manager.close()


def build_image() -> None:
    """The image for the others' ways: with bokeh, which backtesting.py imports, and swe-rex's server if it is here."""
    inside = closure()
    more = {"bokeh": distribution("bokeh")} | closure(
        Requirement(text).name for text in requires("bokeh") or ()
    )
    with suppress(MissingPackage):
        more |= closure(("swe-rex", "aiohttp"))  # which it imports and doesn't name
    wanted = [f"{name}=={package.version}" for name, package in more.items() if name not in inside]
    with tempfile.TemporaryDirectory() as place:
        context = Path(place)
        (context / "bench").mkdir()
        (context / "bench" / "bars.csv").write_bytes(BARS)
        (context / "Dockerfile").write_text(DOCKERFILE)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        target = ["--target", str(context / "rex")]
        subprocess.run([*pip, *target, *wanted], check=True, env=os.environ | {"PYTHONPATH": ""})
        docker_build = ["docker", "build", "-q", "--network", "none", "-t", IMAGE, place]
        subprocess.run(docker_build, check=True, stdout=subprocess.DEVNULL)


def left_over() -> int:
    """Containers that the others left, which are removed; and the containers and bubblewraps that Genesis left."""
    client = docker.from_env()
    found = client.containers.list(all=True, filters={"label": LABEL})
    for container in found:
        with suppress(docker.errors.APIError):
            container.remove(force=True)
    ours = list_containers(client, {"label": f"genesis.label.{OWNER}={this_process()}"})
    return len(found) + len(ours) + _children().count("bwrap")


def _children() -> list[str]:
    """The programs that this process has started and that haven't ended."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            with suppress(FileNotFoundError, ProcessLookupError):
                found.append(Path(f"/proc/{pid}/comm").read_text().strip())
    return found
