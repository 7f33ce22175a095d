"""What passed its gates is weighed, once: the holdout is opened, and the tries are counted."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.weighing import Weighing
    from schemas.experiment import ExperimentRequest
    from schemas.gates import Gate, GateReport
    from schemas.holdout import HoldoutReport
    from schemas.steps import Committed, WeighInput
    from workflows.bench import Bench
    from workflows.journal import Journal
    from workflows.timing import WEIGH


async def weigh(
    request: ExperimentRequest, journal: Journal, bench: Bench, code: Committed, report: GateReport
) -> None:
    """Fill the journal's `holdout` and `evidence`.

    That the holdout is opened stands in the records before it happens: from then on these bars are known.
    """
    assert report.trades is not None
    if request.holdout:
        journal.emit(
            "holdout_opened",
            whole_sha256=request.holdout.whole.digest,
            first=request.data.bars,
            bars=request.holdout.bars,
            commit=report.commit,
        )
    await journal.settled()
    if request.holdout:
        valid = next(gate for gate in report.gates if gate.gate is Gate.VALID)
        journal.holdout = await bench.open_holdout(code, valid, request.holdout, report.trades)
    order = WeighInput(
        experiment_id=request.experiment_id,
        strategy=request.definition.name,
        engine=code.engine,
        attempt=journal.attempt,
        data=request.data.digest,
        trades=report.trades,
        holdout=journal.holdout,
        costs=request.costs,
        as_of=workflow.now(),
    )
    journal.evidence = await workflow.execute_activity_method(Weighing.weigh_result, order, **WEIGH)
    opened = journal.holdout
    journal.summarise(f"{_sealed(request, opened)}; tries so far: {journal.evidence.tries}")
    journal.emit(
        "result_weighed",
        holdout_gates={gate.gate.value: gate.outcome.value for gate in opened.gates} if opened else {},
        evidence=journal.evidence.model_dump(mode="json"),
        artifacts={"whole": opened.whole, "whole_trades": opened.trades} if opened else {},
    )


def _sealed(request: ExperimentRequest, opened: HoldoutReport | None) -> str:
    if opened is None or request.holdout is None:
        return "nothing was held back"
    return f"{request.holdout}: {'every gate passed' if opened.passed else 'a gate failed'}"
