"""A model as an engine: it is asked, its answer is read, and it is asked again where that can't be used."""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError

from domain.code_policy import MAX_CHARACTERS, READING
from schemas.code import FixedCode, GeneratedCode
from schemas.definition import Name
from schemas.models import CallKey
from schemas.orders import FixOrder, GenerateOrder
from services.calls import Calls, NoPurse, OverBudget, Purse
from services.code_reading import check_code, describe_code
from services.engines import prompting
from services.engines.answers import Found, NoCode, ended, find_code, join
from services.engines.asking import AnswerShape, Asker
from services.engines.contract import NOT_TAKEN, CannotFix, EngineBusy, EngineError, OnWait
from services.engines.conversation import Conversation
from services.engines.drafts import FIXED, GENERATED, Extras, changes, extras, words
from services.engines.faults import ContentRefused, refused
from services.formatter import FormatError, format_code

_NAME: TypeAdapter[str] = TypeAdapter(Name)

MOST_ASKS = 3
"""How often a model is asked for an answer that can be used."""
MOST_PARTS = 4
"""How often it is asked to go on with one answer that was cut off."""

MOST_CLASSES = 10
"""Among which the entrypoint is looked for, where the answer names none that is there."""


class UnusableAnswer(EngineError):
    """The model was asked more than once and gave no whole module. What it did give is not saved."""


@dataclass(frozen=True)
class _Draft:
    found: Found
    entrypoint: str
    extras: Extras
    problems: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        return self.found.code


class ModelEngine:
    """One model, for one step: `on_wait` is called while it answers."""

    def __init__(
        self, asker: Asker, calls: Calls, on_wait: OnWait = lambda: None, purse: Purse | None = None
    ) -> None:
        self._asker = asker
        self._calls = calls
        self._on_wait = on_wait
        self._purse = purse or NoPurse()

    @property
    def name(self) -> str:
        return self._asker.to.engine

    def generate(self, order: GenerateOrder) -> GeneratedCode:
        """Raises EngineBusy for what may pass, an EngineError for what won't, and OverBudget."""
        talk = self._conversation(
            CallKey(
                experiment_id=order.experiment_id,
                candidate=order.candidate,
                step="generate",
                attempt=0,
                ask=1,
            )
        )
        talk.say(prompting.generate_question(order))
        with _saying_what_was_paid(talk):
            draft = self._written(talk, GENERATED, order.definition.name)
        notes = draft.extras.notes
        if draft.problems:
            notes = notes | {NOT_TAKEN: "; ".join(draft.problems)}
        return GeneratedCode(
            code=draft.code,
            entrypoint=draft.entrypoint,
            dependencies=draft.extras.dependencies,
            files=draft.extras.files,
            metadata=notes,
            usage=talk.usage,
            prompt=talk.prompt,
        )

    def fix(self, order: FixOrder) -> FixedCode:
        """As `generate`. CannotFix where the model refuses, gives nothing usable, or repeats what failed already."""
        talk = self._conversation(
            CallKey(
                experiment_id=order.experiment_id,
                candidate=order.candidate,
                step="fix",
                attempt=order.attempt,
                ask=1,
            )
        )
        talk.say(prompting.fix_question(order))
        known = {_formatted(each.code): each.attempt for each in order.earlier}
        known[_formatted(order.code.code)] = order.attempt
        try:
            with _saying_what_was_paid(talk):
                draft = self._repaired(talk, order, known)
        except (UnusableAnswer, ContentRefused) as error:
            raise CannotFix(str(error), error.usage) from None
        fields = draft.found.fields
        return FixedCode(
            fixed_code=draft.code,
            explanation=words(fields, "explanation") or f"{self.name} gave no explanation",
            changes=changes(fields),
            usage=talk.usage,
            prompt=talk.prompt,
        )

    # -- until an answer can be used

    def _repaired(self, talk: Conversation, order: FixOrder, known: Mapping[str, int]) -> _Draft:
        """Code that isn't `known`, which has the tries by their formatted code. It is asked for twice."""
        draft = self._written(talk, FIXED, order.code.entrypoint)
        if (twin := known.get(_formatted(draft.code))) is None:
            return draft
        talk.say(prompting.repeated(twin))
        draft = self._written(talk, FIXED, order.code.entrypoint)
        if (twin := known.get(_formatted(draft.code))) is None:
            return draft
        raise CannotFix(
            f"{self.name} gave the code of try {twin} again, also when it was asked for other code: there is nothing "
            "new to try"
        )

    def _conversation(self, key: CallKey) -> Conversation:
        return Conversation(
            self._asker,
            self._calls,
            self._purse,
            self._on_wait,
            key,
            prompting.prompt_digest(key.step),
            prompting.instructions(),
        )

    def _written(self, talk: Conversation, shape: AnswerShape, entrypoint: str) -> _Draft:
        """A whole module. What else is wrong with the answer is told to the model; if that doesn't help, what isn't
        allowed is left out, and the gates say what they find in the rest."""
        draft: _Draft | None = None
        reason = ""
        for _ in range(MOST_ASKS):
            if reason:
                talk.say(prompting.again(reason))
            found = self._found(talk, shape)
            if isinstance(found, NoCode):
                if found.refused:
                    raise ContentRefused(refused(self.name, found.reason))
                reason = found.reason
                continue
            if len(found.code) > MAX_CHARACTERS:
                reason = f"its code has {len(found.code)} characters, and at most {MAX_CHARACTERS} are read"
                continue
            draft = _draft(found, shape, entrypoint)
            if not draft.problems:
                return draft
            reason = "; ".join(draft.problems)
        if draft is None:
            raise UnusableAnswer(
                f"{self.name} was asked {MOST_ASKS} times and gave no code that can be used: {reason}; take another "
                "engine"
            )
        return draft

    def _found(self, talk: Conversation, shape: AnswerShape) -> Found | NoCode:
        answer = talk.ask(shape)
        if answer.finish == "content_filter":
            return NoCode(" ".join(answer.text.split())[:200], refused=True)
        found = find_code(answer, self._is_module)
        if isinstance(found, NoCode) or not (found.cut_off or _is_cut_off(found.code)):
            return found
        code = found.code
        for _ in range(MOST_PARTS):
            talk.say(prompting.go_on(code))
            answer = talk.ask(None)
            code = join(code, answer, self._rank)
            if ended(answer) and not _is_cut_off(code):
                return replace(found, code=code, cut_off=False)
        raise UnusableAnswer(
            f"{self.name} was cut off {MOST_PARTS + 1} times in one module, the last time at {len(code)} characters; "
            "nothing of it is saved: raise GENESIS_MODEL_MAX_TOKENS, or take another engine"
        )

    def _is_module(self, code: str) -> bool:
        """Reading what means harm may take seconds, many times over: the step goes on beating."""
        self._on_wait()
        return _is_module(code)

    def _rank(self, code: str) -> int:
        """For `join`: a whole module, one that only breaks off, something else."""
        self._on_wait()
        rules = _rules(code)
        return 1 if "cut_off" in rules else 0 if rules & READING.keys() else 2


@contextlib.contextmanager
def _saying_what_was_paid(talk: Conversation) -> Iterator[None]:
    """What ends the step early carries what the answers until then have cost."""
    try:
        yield
    except (EngineError, EngineBusy, OverBudget) as error:
        error.usage = talk.usage if talk.usage.calls else None
        raise


def _draft(found: Found, shape: AnswerShape, wanted: str) -> _Draft:
    """The code and its entrypoint. A repair keeps the entrypoint; new code may have another than the one that is
    wanted: the one that the answer names, or the first strategy in it."""
    names = [wanted]
    if shape is GENERATED:
        names += [words(found.fields, "entrypoint"), *describe_code(found.code).classes[:MOST_CLASSES]]
    runs = next((name for name in dict.fromkeys(names) if _is_name(name) and _runs(found.code, name)), None)
    rest = extras(found.fields)
    problems = list(rest.problems)
    if runs is None:
        problems += [
            f"line {finding.line}: {finding.message}; {finding.instead}"
            for finding in check_code(found.code, wanted)
            if finding.rule == "entrypoint" or finding.rule in READING
        ]
    return _Draft(found, runs or wanted, rest, tuple(problems))


def _is_name(text: str) -> bool:
    """Whether an entrypoint may be called so."""
    try:
        _NAME.validate_python(text)
    except ValidationError:
        return False
    return True


@functools.lru_cache(maxsize=32)
def _rules(code: str, entrypoint: str | None = None) -> frozenset[str]:
    return frozenset(finding.rule for finding in check_code(code, entrypoint))


def _runs(code: str, entrypoint: str) -> bool:
    return not _rules(code, entrypoint) & {"entrypoint", *READING}


def _is_module(code: str) -> bool:
    return not _rules(code) & {"entrypoint", *READING}


def _is_cut_off(code: str) -> bool:
    return "cut_off" in _rules(code)


def _formatted(code: str) -> str:
    """The same for code that differs in its layout alone."""
    with contextlib.suppress(FormatError):  # what can't be formatted is compared as it is
        code = format_code(code)
    return "\n".join(line.rstrip() for line in code.splitlines() if line.strip())
