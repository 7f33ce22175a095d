"""Providers for the contract's tests, the real ones."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas.sandbox import Limits
from services.sandboxes import Sandbox, SandboxProvider, default_providers
from services.sandboxes.docker import DEFAULT_IMAGE
from tests.support.needs import checked

PROVIDERS = ["bubblewrap", pytest.param("docker", marks=pytest.mark.docker)]
Make = Callable[..., Sandbox]


@pytest.fixture(scope="module", params=PROVIDERS)
def provider(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SandboxProvider]:
    state: Path = tmp_path_factory.mktemp("state")
    (made,) = default_providers(state, order=[request.param], image=DEFAULT_IMAGE)
    yield checked(made)
    made.close()
    assert [info for info in made.list() if info.labels.get("test") == str(os.getpid())] == []


@pytest.fixture(scope="module")
def shared(provider: SandboxProvider) -> Iterator[Sandbox]:
    """One sandbox for the tests that leave it as it was."""
    name = f"shared-{uuid.uuid4().hex[:8]}"
    yield provider.create(name, limits=Limits(processes=32, disk_mb=64), labels={"test": str(os.getpid())})
    provider.destroy(name)


@pytest.fixture
def make(provider: SandboxProvider) -> Iterator[Make]:
    """Makes sandboxes that are gone after the test."""
    made: list[str] = []

    def one(name: str = "", labels: dict[str, str] | None = None, **limits: float) -> Sandbox:
        name = name or f"test-{uuid.uuid4().hex[:8]}"
        made.append(name)
        every = {"test": str(os.getpid())} | (labels or {})
        return provider.create(name, limits=Limits.model_validate(limits), labels=every)

    yield one
    for name in made:
        provider.destroy(name)
