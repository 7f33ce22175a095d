"""Code, until it passes its gates or nothing more can be done: written, validated, tried out, repaired."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.authoring import Authoring
    from activities.failures import PAID
    from schemas.experiment import ExperimentRequest, Fork, Step
    from schemas.gates import Gate, GateReport, GateResult, Outcome
    from schemas.secrets import IssueInput
    from schemas.steps import (
        AdoptInput,
        Committed,
        FixInput,
        GenerateInput,
        SandboxLease,
        Tried,
        ValidateInput,
    )
    from schemas.usage import Usage
    from workflows.bench import Bench
    from workflows.journal import Journal
    from workflows.lessons import Lessons
    from workflows.timing import COMMIT, ENGINE


class Craft:
    """`code` and `report` are the latest, whatever stopped it; `sandbox` is where the latest was tried that was.
    `undo_branch` is told of a branch before it is made; `check` is asked after every step whether the run is to stop.
    """

    def __init__(
        self,
        request: ExperimentRequest,
        journal: Journal,
        bench: Bench,
        undo_branch: Callable[[str], None],
        check: Callable[[], None],
        lease_seconds: Callable[[], float],
        access: Callable[[], IssueInput | None],
        candidate: int = 0,
    ) -> None:
        self._request = request
        self._id = request.experiment_id
        self._strategy = request.definition.name
        self._candidate = candidate
        self._first_branch, self._fix_branch = branches_of(request, candidate)
        self._journal = journal
        self._bench = bench
        self._undo_branch = undo_branch
        self._check = check
        self._lease_seconds = lease_seconds
        self._access = access
        self._valid: GateResult | None = None
        self._lessons = Lessons(request, journal, source=bench.owner)
        self.code: Committed | None = None
        self.report: GateReport | None = None
        self.sandbox: SandboxLease | None = None
        self._reports: list[GateReport] = []
        """Of every attempt, in their order."""

    async def run(self) -> None:
        try:
            await self._until_nothing_is_left()
        except ActivityError as error:
            self._journal.add_usage(paid_in(error))
            if not is_cancelled_exception(error):
                await self._learn()
            raise
        await self._learn()

    async def _learn(self) -> None:
        if self.code:
            await self._lessons.learn(self._reports, self.code.definition_digest)

    async def _until_nothing_is_left(self) -> None:
        await self._generate()
        while True:
            await self._validate()
            await self._try_out()
            if not self._can_fix() or not await self._fix():
                return

    @property
    def written(self) -> Committed:
        assert self.code is not None
        return self.code

    async def _generate(self) -> None:
        branch = self._first_branch
        self._undo_branch(branch)
        fork = self._request.fork
        with self._journal.step(Step.GENERATE):
            self.code = await (self._adopted(fork, branch) if fork else self._generated(branch))
            self._check()
            self._journal.add_usage(self.code.usage)
            self._journal.commit = self.code.commit
            self._journal.summarise(self.code.summary)
            self._journal.emit(
                "code_adopted" if fork else "code_generated",
                branch=branch,
                commit=self.code.commit,
                code=self.code.code,
                entrypoint=self.code.entrypoint,
                definition_sha256=self.code.definition_digest,
                engine=self.code.engine,
                prompt=self.code.prompt,
                usage=_told(self.code.usage),
                artifacts={"files": self.code.files} if self.code.files else {},
            )

    async def _generated(self, branch: str) -> Committed:
        order = GenerateInput(**await self._order(branch, 0))
        return await workflow.execute_activity_method(
            Authoring.generate_code, order, summary=f"{order.engine} writes {branch}", **ENGINE
        )

    async def _order(self, branch: str, attempt: int, failures: Sequence[GateResult] = ()) -> dict[str, Any]:
        """What an engine is told whenever it writes; the memory is asked first, which may take its time."""
        recalled = await self._lessons.recall(attempt, failures)
        self._check()
        return {
            "experiment_id": self._id,
            "definition": self._request.definition,
            "data": self._request.data.digest,
            "engine": self._request.engine,
            "candidate": self._candidate,
            "branch": branch,
            "lease_seconds": self._lease_seconds(),
            "budget": self._journal.budget,
            "access": self._access(),
            "recalled": recalled,
        }

    async def _adopted(self, fork: Fork, branch: str) -> Committed:
        """No lesson is recalled either: nothing is written that could heed it."""
        order = AdoptInput(
            experiment_id=self._id,
            definition=self._request.definition,
            data=self._request.data.digest,
            branch=branch,
            lease_seconds=self._lease_seconds(),
            fork=fork,
        )
        return await workflow.execute_activity_method(
            Authoring.adopt_code, order, summary=f"{branch} from {fork.experiment_id}", **COMMIT
        )

    async def _validate(self) -> None:
        code = self.written
        self._journal.gates = []
        with self._journal.step(Step.VALIDATE):
            order = ValidateInput(
                experiment_id=self._id,
                strategy=self._strategy,
                branch=code.branch,
                commit=code.commit,
                entrypoint=code.entrypoint,
                attempt=self._journal.attempt,
                secrets=self._request.definition.secrets,
            )
            validated = await workflow.execute_activity_method(
                Authoring.validate_code, order, summary=f"attempt {self._journal.attempt}", **COMMIT
            )
            self._check()
            self._valid = validated.gate
            self.code = code.model_copy(update={"commit": validated.commit, "code": validated.code})
            self._journal.commit = validated.commit
            self._journal.gates = [validated.gate]
            self._journal.summarise(validated.gate.summary)
            self._journal.emit(
                "code_validated",
                commit=validated.commit,
                code=validated.code,
                outcome=validated.gate.outcome,
                findings=len(validated.findings),
            )

    async def _try_out(self) -> None:
        assert self._valid is not None
        if self._valid.outcome is Outcome.PASSED:
            with self._journal.step(Step.TRY_OUT):
                self.report = await self._bench.try_out(self.written, self._valid)
                self.sandbox = self._bench.lease
                self._journal.summarise(_tally(self.report))
        else:
            later = [gate for gate in Gate if gate is not Gate.VALID]
            unasked = [
                GateResult(gate=g, outcome=Outcome.NOT_RUN, summary="the code is not valid") for g in later
            ]
            self.report = GateReport(
                commit=self.written.commit, attempt=self._journal.attempt, gates=[self._valid, *unasked]
            )
        self._reports.append(self.report)
        self._journal.gates = self.report.gates
        self._journal.judged = self.report.commit
        self._journal.emit(
            "gates_judged",
            attempt=self.report.attempt,
            commit=self.report.commit,
            gates={gate.gate.value: gate.outcome.value for gate in self.report.gates},
            metrics=self.report.metrics.model_dump() if self.report.metrics else None,
            trades=self.report.trades,
        )

    def _can_fix(self) -> bool:
        assert self.report is not None
        return not self.report.passed and self._journal.attempt <= self._request.max_fixes

    async def _fix(self) -> bool:
        assert self.report is not None
        branch = self._fix_branch
        self._undo_branch(branch)
        with self._journal.step(Step.FIX):
            order = FixInput(
                **await self._order(branch, self._journal.attempt, self.report.failed),
                attempt=self._journal.attempt,
                commit=self.report.commit,
                entrypoint=self.written.entrypoint,
                failures=self.report.failures,
                gates=self.report.failed,
                earlier=[
                    Tried(attempt=tried.attempt, commit=tried.commit, gates=tried.failed)
                    for tried in self._reports[:-1]
                ],
            )
            fix = await workflow.execute_activity_method(
                Authoring.fix_code, order, summary=f"repair attempt {order.attempt}", **ENGINE
            )
            self._check()
            self._journal.add_usage(fix.usage)
            self._journal.summarise(fix.reason)
            self._journal.emit(
                "fix_made",
                attempt=order.attempt,
                made=fix.committed is not None,
                reason=fix.reason,
                prompt=fix.committed.prompt if fix.committed else None,
                usage=_told(fix.usage),
            )
        if fix.committed is None:
            self._journal.notice(fix.reason)
            return False
        self.code = fix.committed
        self._journal.commit = fix.committed.commit
        self._journal.attempt += 1
        return True


def branches_of(request: ExperimentRequest, candidate: int = 0) -> tuple[str, str]:
    """Where the first code is committed, and where the repairs; `candidate` is 0 where there is one alone."""
    tail = f"{request.definition.name}/{request.experiment_id}{f'-c{candidate}' if candidate else ''}"
    return f"ai/generate/{tail}", f"ai/fix/{tail}"


def kind_of(error: BaseException) -> str | None:
    """The type that a failed step gave its failure; None where it gave none."""
    cause = error.cause if isinstance(error, FailureError) and error.cause else error
    return cause.type if isinstance(cause, ApplicationError) else None


def paid_in(error: BaseException) -> Usage | None:
    """What a step that failed had paid for models by then; None where that is nothing."""
    cause = error.cause if isinstance(error, FailureError) and error.cause else error
    details = cause.details if isinstance(cause, ApplicationError) else ()
    paid = [each[PAID] for each in details if isinstance(each, Mapping) and PAID in each]
    return Usage.model_validate(paid[0]) if paid else None


def _told(usage: Usage | None) -> dict[str, float | None] | None:
    return usage.model_dump(mode="json") if usage else None


def _tally(report: GateReport) -> str:
    passed = sum(gate.outcome is Outcome.PASSED for gate in report.gates)
    return f"{passed} of {len(report.gates)} gates passed"
