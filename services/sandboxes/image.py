"""Ties the Docker image to the harness in it: an image made from other files than those here is not used.

`python -m services.sandboxes.image` prints the harness's digest, for the image's build.
"""

import importlib.util
from pathlib import Path

from services.digests import of_modules

LABEL = "genesis.harness"


def harness_files() -> Path:
    """The directory of the harness, found without importing it. Raises FileNotFoundError."""
    found = importlib.util.find_spec("harness")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("the package 'harness' is not beside Genesis; install Genesis again")
    return Path(found.submodule_search_locations[0]).resolve()


def harness_digest() -> str:
    """SHA-256 over the names and contents of the harness's modules."""
    return of_modules(harness_files())


if __name__ == "__main__":
    print(harness_digest())
