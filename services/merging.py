"""Merging: judged code becomes one squash commit on the library's main, with its lineage in trailers."""

import json

from schemas.library import MergeOutcome
from schemas.steps import MergeInput
from services.library import Library, LibraryError


class Merger:
    permanent_errors: tuple[type[Exception], ...] = (LibraryError,)

    def __init__(self, library: Library) -> None:
        self._library = library

    def merge(self, order: MergeInput) -> MergeOutcome:
        """Merge once: a repeated order finds the commit by its Experiment-Id."""
        metrics = json.dumps(order.metrics.model_dump(mode="json"), indent=2) + "\n"
        return self._library.squash_merge(
            commit=order.commit,
            strategy=order.strategy,
            subject=order.subject,
            body=order.body,
            trailers={
                "Experiment-Id": order.experiment_id,
                "Definition-Sha256": order.definition_digest,
                "Data-Sha256": order.data,
                "Engine": order.engine,
                "Sandbox-Image": order.image,
                **({"Forked-From": order.forked_from} if order.forked_from else {}),
            },
            files={f"strategies/{order.strategy}/metrics.json": metrics},
        )
