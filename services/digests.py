"""What a tree of modules is, in one number."""

import hashlib
from pathlib import Path


def of_modules(root: Path, *folders: str) -> str:
    """SHA-256, in hex, over the names below `root` and the contents of the Python modules in these folders of it, or in
    all."""
    digest = hashlib.sha256()
    for folder in folders or (".",):
        for file in sorted((root / folder).rglob("*.py")):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(root)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
