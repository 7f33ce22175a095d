"""A worker process for tests: the shipped one, with a scripted engine, faults, and shorter patience.

python -m tests.support.worker [FAULT …]
"""

import asyncio
import logging
import signal
import sys
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig

from services import authoring
from services.settings import Settings
from tests.support.engine import ScriptedEngine
from tests.support.faults import Faults
from worker import serving
from workflows import timing

WORDS = ("uncached", "hasty", "lawless")
"""In a plan, beside faults."""
IMPATIENT = timedelta(seconds=8)


def shorten() -> None:
    """A killed worker is found out after seconds, so that tests needn't wait; the story is the same."""
    for options in (timing.COMMIT, timing.UNDO, timing.RECORDS, timing.WEIGH, timing.PAPERS, timing.SWEEP):
        options["start_to_close_timeout"] = IMPATIENT
    for patience in (timing.ENGINE, timing.LEASE, timing.TRIALS, timing.MEMORY):
        patience["heartbeat_timeout"] = IMPATIENT


async def main(plan: list[str]) -> None:
    logging.basicConfig(level=logging.WARNING)
    shorten()
    settings = Settings()
    if settings.model_url:
        import services.engines.model  # noqa: F401 - seconds without a beat, on a loaded machine

    where = ClientConfig.load_client_connect_config()
    client = await Client.connect(**where, data_converter=pydantic_data_converter)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    cached = 0 if "uncached" in plan else 1000
    if "lawless" in plan:  # the policy is got past: what any code may do is done
        vars(authoring)["check_code"] = lambda *_: []
    if "hasty" in plan:  # a host that is gone for good is given up after seconds
        timing.HOST_PICKUP = timing.SWEEP_PICKUP = IMPATIENT
    faults = Faults([item for item in plan if item not in WORDS], settings.home / "faults")
    script = ScriptedEngine(settings.home / "script.json")
    async with serving(
        client, settings, engines=[script], interceptors=[faults], max_cached_workflows=cached
    ):
        Path(settings.home / "serving").touch()
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
