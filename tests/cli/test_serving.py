"""`worker.py --dev`: a server of its own with a Web UI, which stay up until they are told to end."""

import asyncio
import signal
import urllib.request
from pathlib import Path

import pytest

from services.temporal.connect import LOCAL
from services.temporal.server import answers
from tests.cli.door import starter, worker_process


@pytest.mark.server
def test_dev_brings_up_a_server_and_its_web_ui_and_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    taken = asyncio.run(answers(LOCAL))
    with worker_process(home, "--dev") as process:
        assert process.stderr is not None
        try:
            serves, shown = process.stderr.readline().split(), process.stderr.readline()
            assert serves[2] == "serves", serves
            page = shown.removeprefix("Web UI: ").strip()
            (found,) = [
                check["found"]
                for check in starter(home, "doctor", "--json").json["checks"]
                if check["name"] == "temporal"
            ]
            assert "served by a worker" in found
            if not taken:  # else it serves on a server that somebody else has brought up
                assert (home / "temporal" / "temporal.db").is_file()
                with urllib.request.urlopen(page, timeout=10) as answer:
                    assert answer.status == 200
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
        assert "ending" in process.stderr.read()
    assert taken or not asyncio.run(answers(serves[-1]))
