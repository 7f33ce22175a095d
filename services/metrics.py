"""What a worker tells Prometheus: open experiments, and what models may use, looked up when it is asked."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from domain.budget import KINDS
from schemas.budget import Balance
from services.budget import Budgets, budget_on_record
from services.records import Records, RecordsError, RecordsUnavailable

_log = logging.getLogger(__name__)


class ExperimentMetrics(Collector):
    """Of all experiments in the records, whichever worker carries them out."""

    def __init__(self, records: Records, budgets: Budgets) -> None:
        self._records = records
        self._budgets = budgets

    def describe(self) -> list[GaugeMetricFamily]:
        return [_jobs(), _budget()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        jobs, budget = _jobs(), _budget()
        try:
            rows = self._records.jobs()
            for status in sorted({row.status for row in rows}):
                jobs.add_metric([status], sum(row.status is status for row in rows))
            _add(budget, "day", "", self._budgets.day())
            for row in rows:
                limit = budget_on_record(self._records, row.experiment_id)
                if limit and limit.is_limited:
                    balance = self._budgets.balance(row.experiment_id, limit)
                    _add(budget, "experiment", row.experiment_id, balance)
        except (RecordsError, RecordsUnavailable) as error:
            _log.warning("metrics are not whole: %s", error)
        yield jobs
        yield budget


def _jobs() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "genesis_open_experiments", "Experiments that have not ended.", labels=["status"]
    )


def _budget() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "genesis_model_budget",
        "What calls of models may use: of the day (UTC), and of each open experiment that has a limit.",
        labels=["scope", "experiment", "kind", "state"],
    )


def _add(family: GaugeMetricFamily, scope: str, experiment: str, balance: Balance) -> None:
    for kind in KINDS:
        for state, amounts in (("spent", balance.spent), ("reserved", balance.reserved)):
            family.add_metric([scope, experiment, kind, state], float(getattr(amounts, kind)))
        for state, budget in (("limit", balance.limit), ("left", balance.left)):
            if (amount := getattr(budget, kind)) is not None:
                family.add_metric([scope, experiment, kind, state], float(amount))


@contextmanager
def metrics_served(address: str, records: Records, budgets: Budgets) -> Iterator[str]:
    """Serve them at `http://HOST:PORT/metrics` for as long as it is held; yields HOST:PORT, with the port that port 0
    came to. Raises OSError where the port is taken."""
    registry = CollectorRegistry()
    registry.register(ExperimentMetrics(records, budgets))
    host, _, port = address.rpartition(":")
    server, thread = start_http_server(int(port), host.strip("[]"), registry)
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
