"""Writing code: an engine's answer becomes a commit on the experiment's own branch, checked and formatted.

Every commit is found again by its key, so that a step that is repeated returns what it made the first time.
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta

from domain.definitions import DefinitionError, canonical_definition
from domain.rules.errors import RuleError
from schemas.budget import Budget
from schemas.code import Digest, Finding, GeneratedCode, Severity
from schemas.definition import StrategyDefinition
from schemas.gates import Gate, GateResult, Outcome
from schemas.memory import Lesson
from schemas.orders import EarlierTry, FixOrder, GenerateOrder
from schemas.secrets import IssueInput
from schemas.steps import (
    AdoptInput,
    BranchGone,
    BranchRef,
    Committed,
    FixInput,
    FixOutput,
    GenerateInput,
    Validated,
    ValidateInput,
)
from services.artifacts import ArtifactCorrupt, ArtifactMissing, Artifacts
from services.calls import NoPurse, OverBudget, Purse
from services.code_reading import check_code, describe_code
from services.engines import CannotFix, Engine, EngineBusy, EngineError, Engines
from services.engines.contract import NOT_TAKEN, OnWait
from services.formatter import FormatError, format_code
from services.library import Library, LibraryError
from services.records import Records
from services.secrets import SecretsError, SecretsUnavailable

BRANCH = "branch"
MOST_FINDINGS = 10
MOST_WORDS = 300
"""Characters of what an answer was wrong in: a summary enters history."""


def code_path(strategy: str) -> str:
    return f"strategies/{strategy}/strategy.py"


def definition_path(strategy: str) -> str:
    return f"strategies/{strategy}/definition.json"


PurseOf = Callable[[str, Budget, str], Purse]
"""For an experiment, its budget and an engine: what pays the calls."""
Acting = Callable[[IssueInput | None], AbstractContextManager[None]]


class Author:
    """Writes, repairs and validates, with the engines, the library and the artifacts of this worker."""

    permanent_errors: tuple[type[Exception], ...] = (
        EngineError,
        OverBudget,
        SecretsError,
        DefinitionError,
        RuleError,
        LibraryError,
        ArtifactMissing,
        ArtifactCorrupt,
    )
    passing_errors: tuple[type[Exception], ...] = (EngineBusy, SecretsUnavailable)

    def __init__(
        self,
        engines: Engines,
        library: Library,
        artifacts: Artifacts,
        records: Records,
        host: str,
        *,
        purse_of: PurseOf = lambda *_: NoPurse(),
        acting: Acting = lambda _: nullcontext(),
    ) -> None:
        """`purse_of` gives what pays the calls of an experiment's step, `acting` the right to read its secrets."""
        self._engines = engines
        self._library = library
        self._artifacts = artifacts
        self._records = records
        self._host = host
        self._purse_of = purse_of
        self._acting = acting

    def generate(self, order: GenerateInput, on_wait: OnWait) -> Committed:
        """`on_wait` is called while a model answers; what it raises ends the step."""
        self._lease(order.branch, order.experiment_id, order.lease_seconds)
        with self._engine(order, on_wait) as engine:
            code = engine.generate(
                GenerateOrder(
                    experiment_id=order.experiment_id,
                    candidate=order.candidate,
                    definition=order.definition,
                    recalled=self._lessons(order.recalled),
                )
            )
        return self._commit(
            order, code, "generate", base=self._library.head(), engine=order.engine, subject="Generate"
        )

    def adopt(self, order: AdoptInput) -> Committed:
        """Take up the code that another experiment has on record; no engine is asked, and nothing is paid."""
        self._lease(order.branch, order.experiment_id, order.lease_seconds)
        fork = order.fork
        code = GeneratedCode(
            code=self._artifacts.get(fork.code).decode(),
            entrypoint=fork.entrypoint,
            files=self._artifacts.get_json(fork.files) if fork.files else {},
        )
        made = self._commit(
            order,
            code,
            "adopt",
            base=self._library.head(),
            engine=fork.engine,
            subject="Adopt",
            trailers={"Forked-From": fork.experiment_id},
        )
        return made.model_copy(update={"summary": f"{made.summary}, from {fork.experiment_id}"})

    def fix(self, order: FixInput, on_wait: OnWait) -> FixOutput:
        """As `generate`."""
        self._lease(order.branch, order.experiment_id, order.lease_seconds)
        path = code_path(order.definition.name)
        before = self._library.read(order.commit, path)
        earlier = [
            EarlierTry(attempt=each.attempt, code=self._library.read(each.commit, path), gates=each.gates)
            for each in order.earlier
        ]
        try:
            with self._engine(order, on_wait) as engine:
                fixed = engine.fix(
                    FixOrder(
                        experiment_id=order.experiment_id,
                        candidate=order.candidate,
                        definition=order.definition,
                        attempt=order.attempt,
                        code=GeneratedCode(code=before, entrypoint=order.entrypoint),
                        failures=order.failures,
                        gates=order.gates,
                        earlier=earlier,
                        recalled=self._lessons(order.recalled),
                    )
                )
        except CannotFix as reason:
            return FixOutput(committed=None, reason=str(reason), usage=reason.usage)
        if fixed.fixed_code == before:
            return FixOutput(
                committed=None,
                reason=f"the engine {order.engine} gave the same code again",
                usage=fixed.usage,
            )
        code = GeneratedCode(
            code=fixed.fixed_code, entrypoint=order.entrypoint, usage=fixed.usage, prompt=fixed.prompt
        )
        made = self._commit(
            order, code, f"fix/{order.attempt}", base=order.commit, engine=order.engine, subject="Fix"
        )
        return FixOutput(committed=made, reason=fixed.explanation, usage=fixed.usage)

    def validate(self, order: ValidateInput) -> Validated:
        """Parse, policy, metadata; then format, and commit what formatting changed."""
        path = code_path(order.strategy)
        source = self._library.read(order.commit, path)
        findings = check_code(source, order.entrypoint, order.secrets)
        commit = order.commit
        if not _errors(findings):
            try:
                formatted = format_code(source)
            except FormatError as error:
                findings.append(
                    Finding(rule="format", line=error.line, message=str(error), why="black can't read it")
                )
            else:
                if formatted != source:
                    ref = self._library.commit_files(
                        branch=order.branch,
                        files={path: formatted},
                        message=f"Format {order.strategy}",
                        trailers={"Experiment-Id": order.experiment_id},
                        base=order.commit,
                        key=f"{order.experiment_id}/format/{order.attempt}",
                    )
                    source, commit = formatted, ref.commit
        metadata = describe_code(source)
        errors = _errors(findings)
        if errors:
            more = (
                f", the first at line {errors[0].line}" if len(errors) > 1 else f" at line {errors[0].line}"
            )
            summary = f"{len(errors)} finding{'s' if len(errors) > 1 else ''}{more}: {errors[0].message}"
        else:
            summary = f"{metadata.lines} lines, {len(metadata.classes)} class, imports {', '.join(metadata.imports)}"
        return Validated(
            commit=commit,
            code=self._artifacts.put(source.encode()),
            gate=GateResult(
                gate=Gate.VALID,
                outcome=Outcome.FAILED if errors else Outcome.PASSED,
                summary=summary,
                details=[str(finding) for finding in findings[:MOST_FINDINGS]],
            ),
            metadata=metadata,
            findings=findings[:MOST_FINDINGS],
        )

    def delete_branch(self, ref: BranchRef) -> BranchGone:
        existed = self._library.delete_branch(ref.branch)
        self._records.release_lease(BRANCH, ref.branch)
        return BranchGone(existed=existed)

    @contextmanager
    def _engine(self, order: GenerateInput | FixInput, on_wait: OnWait) -> Iterator[Engine]:
        """The engine of one step; what it reads of secrets it reads by the experiment's right."""
        with self._acting(order.access):
            purse = self._purse_of(order.experiment_id, order.budget, order.engine)
            yield self._engines.get(order.engine, on_wait, purse)

    def _lessons(self, recalled: Digest | None) -> list[Lesson]:
        return (
            [Lesson.model_validate(each) for each in self._artifacts.get_json(recalled)] if recalled else []
        )

    def _lease(self, branch: str, experiment_id: str, seconds: float) -> None:
        """The row comes before the branch: a sweep must know of whatever may exist."""
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        self._records.open_lease(BRANCH, branch, experiment_id, self._host, expires)

    def _commit(
        self,
        order: GenerateInput | AdoptInput | FixInput,
        code: GeneratedCode,
        step: str,
        *,
        base: str,
        engine: str,
        subject: str,
        trailers: Mapping[str, str] | None = None,
    ) -> Committed:
        definition = order.definition
        digest = self._artifacts.put(canonical_definition(definition))
        files = {code_path(definition.name): code.code, definition_path(definition.name): _pretty(definition)}
        files |= {f"strategies/{definition.name}/{name}": text for name, text in code.files.items()}
        ref = self._library.commit_files(
            branch=order.branch,
            files=files,
            message=f"{subject} {definition.name} {definition.version} with {engine}",
            trailers={
                "Experiment-Id": order.experiment_id,
                "Definition-Sha256": digest,
                "Data-Sha256": order.data,
                "Engine": engine,
                **(trailers or {}),
            },
            base=base,
            key=f"{order.experiment_id}/{step}",
        )
        return Committed(
            branch=ref.branch,
            commit=ref.commit,
            entrypoint=code.entrypoint,
            engine=engine,
            code=self._artifacts.put(code.code.encode()),
            files=self._artifacts.put_json(code.files) if code.files else None,
            definition_digest=digest,
            summary=f"{len(code.code.splitlines())} lines by {engine}{_still_wrong(code)}",
            usage=code.usage,
            prompt=code.prompt,
        )


def _pretty(definition: StrategyDefinition) -> str:
    return definition.model_dump_json(indent=2, exclude_defaults=False) + "\n"


def _still_wrong(code: GeneratedCode) -> str:
    said = code.metadata.get(NOT_TAKEN, "")
    return (
        f"; still wrong in its answer: {textwrap.shorten(said, MOST_WORDS, placeholder=' …')}" if said else ""
    )


def _errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.ERROR]
