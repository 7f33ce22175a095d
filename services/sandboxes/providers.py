"""The providers that there are, made without being checked."""

from collections.abc import Sequence
from pathlib import Path

from schemas.sandbox import ProviderName
from services.sandboxes.contract import SandboxProvider


def default_providers(
    state: Path, *, order: Sequence[ProviderName] = ("bubblewrap", "docker"), image: str, runtime: str = ""
) -> Sequence[SandboxProvider]:
    """The providers in that order, none of them checked. `state` is where bubblewrap's sandboxes are written down."""

    def make(name: ProviderName) -> SandboxProvider:
        # each brings libraries that the other doesn't need
        if name == "bubblewrap":
            from services.sandboxes.bubblewrap import BubblewrapProvider

            return BubblewrapProvider(state)
        from services.sandboxes.docker import DockerProvider

        return DockerProvider(image, runtime)

    return [make(name) for name in order]
