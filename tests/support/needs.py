"""What a test needs of the machine: skipped where it isn't there, and a failure on CI, where everything must be."""

import os
from typing import NoReturn, TypeVar

import pytest

from services.sandboxes import SandboxProvider, SandboxUnavailable

Provider = TypeVar("Provider", bound=SandboxProvider)


def missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"on CI everything must be there: {what}")
    pytest.skip(what)


def checked(provider: Provider) -> Provider:
    """The provider, where it works."""
    try:
        provider.check()
    except SandboxUnavailable as error:
        missing(f"{provider.name}: {error}")
    return provider
