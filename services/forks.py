"""Forks: what is on record of an experiment, for another one to begin with."""

import json
from collections.abc import Sequence
from typing import Any

from domain.definitions import CheckedDefinition, DefinitionError, check_definition, definition_digest
from schemas.code import Digest
from schemas.experiment import Fork, ForkStep
from schemas.market import DataSet
from schemas.records import AuditRow
from services.artifacts import ArtifactCorrupt, ArtifactMissing, Artifacts
from services.authoring import definition_path
from services.code_reading import describe_code
from services.library import Library, LibraryError
from services.market_data import MarketData
from services.records import Records

MOST_EVENTS = 100_000
WRITTEN = ("code_generated", "code_adopted")


class ForkError(Exception):
    """Nothing that can be taken up is on record. The message says what is missing and what to do instead."""


class Origin:
    """One experiment that is on record, as a fork sees it. ForkError where it isn't."""

    def __init__(self, experiment_id: str, records: Records, artifacts: Artifacts, library: Library) -> None:
        self.experiment_id = experiment_id
        self._artifacts = artifacts
        self._library = library
        self._events = records.audit(experiment=experiment_id, limit=MOST_EVENTS)
        opened = _last(self._events, "experiment_opened")
        if opened is None:
            raise ForkError(f"there is no experiment {experiment_id} on record; see: python starter.py list")
        self._opened = opened
        self.strategy = opened.strategy

    def code(self, step: ForkStep) -> Fork:
        """The code of that step, all of which is there. Of several candidates it is the chosen one's."""
        written = self._written()
        judged = [event for event in self._of_the_same(written) if event.event == "gates_judged"]
        if step is ForkStep.GENERATED:
            attempt, found = (judged[0].data["attempt"] if judged else 1), written
        else:
            attempt, found = self._judged(written, judged)
        code = self._there(found.data["code"], f"the code {step} at attempt {attempt}")
        return Fork(
            experiment_id=self.experiment_id,
            step=step,
            attempt=attempt,
            commit=found.data["commit"],
            code=code,
            files=self._files(written),
            entrypoint=written.data.get("entrypoint") or self._entrypoint(code),
            engine=written.data["engine"],
        )

    def definition(self) -> CheckedDefinition:
        """The definition that the code was written for."""
        written = self._written()
        digest: Digest = written.data["definition_sha256"]
        try:
            return check_definition(self._artifacts.get_json(digest))
        except DefinitionError as error:
            raise self._without_definition(f"this version can't read it: {error}") from error
        except (ArtifactMissing, ArtifactCorrupt) as error:
            if found := self._from_library(digest, written):
                return found
            raise self._without_definition(f"the library hasn't it either, and {error}") from error

    def data(self, market: MarketData) -> DataSet:
        """The bars that it was about, those of its holdout included."""
        data = self._opened.data
        digest = self._there(data.get("whole_sha256") or data["data_sha256"], "its data", "give --data")
        return market.frozen(digest, data["data_name"])

    def _written(self) -> AuditRow:
        """The first code: of the candidate that was chosen, or else judged last, where there were several."""
        known = _last(self._events, "candidate_chosen") or _last(self._events, "gates_judged")
        written = [event for event in self._events if event.event in WRITTEN]
        if not written:
            raise ForkError(
                f"no code of {self.experiment_id} is on record, so there is nothing to fork; "
                f"see what became of it: python starter.py show {self.experiment_id}"
            )
        same = [event for event in written if known and _candidate(event) == _candidate(known)]
        return (same or written)[0]

    def _from_library(self, digest: Digest, written: AuditRow) -> CheckedDefinition | None:
        """Where it was committed, as long as that is there."""
        places = [written, _last(self._events, "merged")]
        for commit in [event.data["commit"] for event in places if event]:
            try:
                text = self._library.read(commit, definition_path(self.strategy))
                found = check_definition(json.loads(text))
            except (LibraryError, ValueError):
                continue
            if definition_digest(found.definition) == digest:
                return found
        return None

    def _of_the_same(self, written: AuditRow) -> list[AuditRow]:
        return [event for event in self._events if _candidate(event) == _candidate(written)]

    def _judged(self, written: AuditRow, judged: Sequence[AuditRow]) -> tuple[int, AuditRow]:
        """The attempt, and the event that has its code."""
        last = _last(self._of_the_same(written), "candidate_chosen") or (judged[-1] if judged else None)
        if last is None:
            raise ForkError(
                f"no code of {self.experiment_id} was judged; take up what was generated: "
                f"--fork {self.experiment_id} --from generated"
            )
        for event in reversed(self._of_the_same(written)):
            if event.event == "code_validated" and event.data["commit"] == last.data["commit"]:
                return last.data["attempt"], event
        raise ForkError(
            f"the code of {self.experiment_id} that was judged, at commit {last.data['commit'][:10]}, isn't on record; "
            f"take up what was generated: --fork {self.experiment_id} --from generated"
        )

    def _files(self, written: AuditRow) -> Digest | None:
        digest = written.data.get("artifacts", {}).get("files")
        return self._there(digest, "the files beside its code") if digest else None

    def _entrypoint(self, code: Digest) -> str:
        """Of records that don't name it."""
        classes = describe_code(self._artifacts.get(code).decode()).classes
        if len(classes) != 1:
            raise ForkError(
                f"which class of {', '.join(classes) or 'the code'} is the strategy of {self.experiment_id} isn't on "
                "record, so it can't be forked; run it anew"
            )
        return classes[0]

    def _there(self, digest: Digest, what: str, instead: str = "run it anew") -> Digest:
        try:
            self._artifacts.get(digest)
        except (ArtifactMissing, ArtifactCorrupt) as error:
            raise ForkError(
                f"{self.experiment_id} can't be forked for want of {what}: {error}; or {instead}"
            ) from error
        return digest

    def _without_definition(self, why: str) -> ForkError:
        return ForkError(
            f"the definition of {self.experiment_id} can't be found: {why}; give it with --definition FILE"
        )


def _last(events: Sequence[AuditRow], name: str) -> AuditRow | None:
    return next((event for event in reversed(events) if event.event == name), None)


def _candidate(event: AuditRow) -> Any:
    return event.data.get("candidate")
