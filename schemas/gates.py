"""Gates: the questions a try-out must answer."""

from enum import StrEnum

from schemas.base import Shape
from schemas.code import Digest
from schemas.trading import Metrics


class Gate(StrEnum):
    """In the order in which they are asked; one that fails leaves the later ones unasked where they need it."""

    VALID = "valid"
    LOADS = "loads"
    RUNS = "runs"
    DETERMINISTIC = "deterministic"
    TRADES = "trades"
    SCORE_VERIFIED = "score_verified"
    CONFORMS = "conforms"
    NO_LOOKAHEAD = "no_lookahead"
    HONOURS_RISK_LIMITS = "honours_risk_limits"


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not_run"


class GateResult(Shape):
    gate: Gate
    outcome: Outcome
    summary: str
    """One line a person understands."""
    details: list[str] = []
    """At most ten lines: findings, mismatches with bar, rule and values, the error with its line."""
    seconds: float = 0.0


class GateReport(Shape):
    """What a try-out of one commit came to. Small: logs, trades and curves are artifacts, named by digest."""

    commit: str
    attempt: int
    gates: list[GateResult]
    metrics: Metrics | None = None
    """Recomputed; None where the trades can't be true."""
    stressed: Metrics | None = None
    """The same bars and sizes at twice the costs; None where nothing is charged."""
    trades: Digest | None = None
    """Artifact: JSON list of TradeRow."""
    output: Digest | None = None
    """Artifact: what the trials printed."""
    workspace_bytes: int | None = None
    """What lay in the sandbox afterwards; None where that can't be told."""
    workspace: Digest | None = None
    """Artifact: a gzipped tar of it, where a gate failed."""

    @property
    def passed(self) -> bool:
        return all(gate.outcome is Outcome.PASSED for gate in self.gates)

    @property
    def failed(self) -> list[GateResult]:
        return [gate for gate in self.gates if gate.outcome is Outcome.FAILED]

    @property
    def failures(self) -> list[str]:
        return ["\n".join([f"{gate.gate}: {gate.summary}", *gate.details]) for gate in self.failed]
