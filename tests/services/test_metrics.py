"""What Prometheus would read, over HTTP."""

import socket
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.budget import Budget
from schemas.experiment import ExperimentStatus
from schemas.models import CallKey
from schemas.records import Event
from schemas.usage import Usage
from services.budget import Budgets
from services.metrics import metrics_served
from services.records import Records

LABELS = ("status", "scope", "experiment", "kind", "state")
Sample = dict[tuple[str, ...], float]


def scraped(address: str) -> dict[str, Sample]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        family.name: {
            tuple(sample.labels[name] for name in LABELS if name in sample.labels): sample.value
            for sample in family.samples
        }
        for family in text_string_to_metric_families(text)
    }


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'records.db'}"


def test_open_experiments_and_budgets(url: str) -> None:
    records, budgets = Records(url), Budgets(url, Budget(usd=5))
    records.migrate()
    for name, budget in (("limited", Budget(calls=4)), ("free", Budget())):
        data = {"strategy": "S", "budget": budget.model_dump(mode="json")}
        records.write(
            [
                Event(
                    event_id=f"{name}#0",
                    experiment_id=name,
                    sequence=0,
                    at=datetime.now(UTC),
                    event="experiment_opened",
                    status=ExperimentStatus.RUNNING,
                    data=data,
                )
            ]
        )
    purse = budgets.purse("limited", Budget(calls=4), "openai:x")
    first = CallKey(experiment_id="limited", step="generate", attempt=0, ask=1)
    purse.reserve(first, Usage(calls=1, input_tokens=100, output_tokens=50, usd=0.5))
    purse.settle(first, Usage(calls=1, input_tokens=100, output_tokens=20, usd=0.25))
    purse.reserve(first.model_copy(update={"ask": 2}), Usage(calls=1, input_tokens=10, usd=0.125))
    with metrics_served("127.0.0.1:0", records, budgets) as address:
        found = scraped(address)
        assert found["genesis_open_experiments"] == {("running",): 2.0}
        budget = found["genesis_model_budget"]
        assert budget["day", "", "usd", "limit"] == 5
        assert budget["day", "", "usd", "spent"] == 0.25
        assert budget["day", "", "usd", "reserved"] == 0.125
        assert budget["day", "", "usd", "left"] == 4.625
        assert budget["experiment", "limited", "calls", "left"] == 2
        assert budget["experiment", "limited", "tokens", "spent"] == 120
        assert not [labels for labels in budget if "free" in labels]
    with pytest.raises(OSError, match="refused"):
        scraped(address)


NOTHING: dict[str, Sample] = {"genesis_open_experiments": {}, "genesis_model_budget": {}}


def test_a_database_without_tables_leaves_the_page_up(url: str) -> None:
    with metrics_served("127.0.0.1:0", Records(url), Budgets(url)) as address:
        assert scraped(address) == NOTHING


def test_a_database_that_is_down_leaves_the_page_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'records.db'}"
    with metrics_served("127.0.0.1:0", Records(url), Budgets(url)) as address:
        assert scraped(address) == NOTHING
    assert "metrics are not whole" in caplog.text


def test_an_address_of_ipv6(url: str) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    Records(url).migrate()
    with metrics_served("[::1]:0", Records(url), Budgets(url)) as address:
        assert address.startswith("[::1]:")
        assert set(scraped(address)) == set(NOTHING)


def test_a_port_that_is_taken_is_an_error(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(OSError, match="in use"),
            metrics_served(f"127.0.0.1:{port}", Records(url), Budgets(url)),
        ):
            pass
