"""What an experiment may read of the secrets: a token of its own, issued before anything needs it, revoked at the end,
when what models have reserved of the budget ends too.

The token stays with the workers; history has its accessor.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.accounting import Accounting
    from activities.guarding import Guarding
    from schemas.experiment import ExperimentRequest
    from schemas.secrets import IssueInput, TokensRef
    from schemas.steps import BudgetRef
    from workflows.journal import Journal
    from workflows.timing import COMMIT, UNDO
    from workflows.undo import Undo

KEY_NAMES = 2
"""Most settings that a model's key is looked for in; each look counts as a read."""


def access_of(request: ExperimentRequest, lease_seconds: float) -> IssueInput | None:
    """What the experiment's steps have to read; None where that is nothing: no model writes, no secret is asked for."""
    asks = not request.fork or request.max_fixes > 0
    engines = [engine for engine in dict.fromkeys(request.writers) if ":" in engine and asks]
    if not engines and not request.definition.secrets:
        return None
    return IssueInput(
        experiment_id=request.experiment_id,
        engines=engines,
        sandbox=request.definition.secrets,
        lease_seconds=lease_seconds,
        uses=_reads(request, len(engines)),
    )


def _reads(request: ExperimentRequest, engines: int) -> int:
    """As many as its steps make where each succeeds at once. It bounds what a stolen token is good for: a worker that
    needs more has another issued."""
    tries = len(request.writers) * (1 + request.max_fixes)
    secrets = len(request.definition.secrets)
    keys = KEY_NAMES * tries if engines else 0
    return keys + secrets * (tries + 1)  # the holdout is one run more


async def grant(order: IssueInput, journal: Journal, undo: Undo) -> None:
    """Have the token issued."""
    ref = TokensRef(experiment_id=order.experiment_id)

    async def revoke() -> None:
        gone = await workflow.execute_activity_method(Guarding.revoke_tokens, ref, **UNDO)
        if gone.problem:
            journal.notice(f"a token may live until it expires: {gone.problem}")
        journal.emit("tokens_revoked", revoked=gone.revoked)

    async def release() -> None:
        await workflow.execute_activity_method(
            Accounting.release_budget, BudgetRef(experiment_id=order.experiment_id), **UNDO
        )

    undo.register("tokens", revoke)
    if order.engines:
        undo.register("reservations", release)
    issued = await workflow.execute_activity_method(Guarding.issue_token, order, **COMMIT)
    if issued.accessor:
        journal.emit("token_issued", accessor=issued.accessor, expires=issued.expires)
