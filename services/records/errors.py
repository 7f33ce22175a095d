"""What can go wrong with records."""

from schemas.experiment import ExperimentStatus


class RecordsError(Exception):
    """What was asked can't be recorded or read; doing it again won't help. The message says what to do."""


class RecordsUnavailable(Exception):
    """The database can't be reached, opened or written just now. Not a RecordsError: a retry may help."""


class DatabaseTooNew(RecordsError):
    """A newer Genesis has migrated the database."""


class IllegalTransition(RecordsError):
    """An event would bring an experiment into a state that can't follow. Nothing was written."""

    def __init__(
        self, experiment_id: str, before: ExperimentStatus | None, after: ExperimentStatus, why: str
    ) -> None:
        super().__init__(
            f"experiment {experiment_id} can't go from {before or 'nothing'} to {after}: {why}; "
            "nothing was recorded"
        )
        self.experiment_id = experiment_id
        self.before = before
        self.after = after
