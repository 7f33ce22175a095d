"""Names and texts that reach git: checked here, so that none becomes an option, a path outside, a trailer."""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from services.library.errors import LibraryError

MAIN = "main"
EXPERIMENTS = "ai/"
"""Every experiment's branch begins with this; only such branches are ever written or deleted."""

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_STRATEGY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_REVISION = re.compile(r"[0-9a-f]{7,40}")
_TRAILER = re.compile(r"([A-Za-z][A-Za-z0-9-]*): (.*)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


def branch_ref(branch: str) -> str:
    """The full ref of an experiment's branch."""
    parts = branch.split("/")
    if not branch.startswith(EXPERIMENTS) or len(branch) > 400 or not all(map(_is_ref_part, parts)):
        raise LibraryError(
            f"{branch!r:.200} can't be an experiment's branch; write "
            f"{EXPERIMENTS}<step>/<strategy>/<experiment> with letters, digits, '.', '_' and '-'"
        )
    return f"refs/heads/{branch}"


def _is_ref_part(part: str) -> bool:
    return bool(_PART.fullmatch(part)) and ".." not in part and not part.endswith((".lock", "."))


def tag_name(strategy: str, version: int) -> str:
    return f"strategies/{strategy}/v{version}"


def strategy_name(name: str) -> str:
    if not _STRATEGY.fullmatch(name):
        raise LibraryError(
            f"{name!r:.100} can't name a strategy; allowed are letters, digits and '_', first a letter"
        )
    return name


def file_path(path: str) -> str:
    """A relative path of plain names. No leading dots: .gitattributes would change how merges work."""
    if len(path) > 1000 or not all(_PART.fullmatch(part) for part in path.split("/")):
        raise LibraryError(
            f"{path!r:.200} can't be a file of the library; write a relative path of letters, digits, '.', '_' "
            "and '-' in which no name begins with a dot or a dash"
        )
    return path


def contents(files: Mapping[str, str]) -> dict[str, bytes]:
    """Files as git keeps them, with their paths checked."""
    found = {}
    for path, text in files.items():
        try:
            found[file_path(path)] = text.encode()
        except UnicodeEncodeError as error:
            raise LibraryError(
                f"{path} holds text that is not Unicode ({error.reason} at character {error.start}); remove the "
                "lone surrogate"
            ) from error
    return found


def revision(text: str) -> str:
    """A commit's hash, whole or shortened, or `main`."""
    if text == MAIN:
        return f"refs/heads/{MAIN}"
    if not _REVISION.fullmatch(text):
        raise LibraryError(
            f"{text!r:.100} is not a commit; give its hash, at least 7 characters of 0-9 and a-f"
        )
    return text


def nearest(name: str, known: list[str]) -> str:
    """The end of a sentence that says what there is instead of `name`."""
    if not known:
        return "the library holds none yet"
    close = get_close_matches(name.lower(), [one.lower() for one in known], n=3, cutoff=0.5)
    meant = [one for one in known if one.lower() in close]
    return f"did you mean {' or '.join(meant)}?" if meant else f"there are {', '.join(known[:20])}"


def compose(subject: str, body: str, trailers: Mapping[str, str]) -> str:
    """A commit message that ends in `trailers`, whatever subject and body hold."""
    subject = " ".join(_CONTROL.sub(" ", subject).split())[:200]
    if not subject:
        raise LibraryError("a commit needs a subject; say in one line what it does")
    paragraphs = [subject]
    if body := "\n".join(_CONTROL.sub(" ", line).rstrip() for line in body.splitlines()).strip():
        paragraphs.append(body)
    lines = []
    for key, value in trailers.items():
        line = f"{key}: {value}"
        if not _TRAILER.fullmatch(line) or not value.strip() or _CONTROL.search(line):
            raise LibraryError(f"{line!r:.200} can't be a trailer; write a key and one line of text")
        lines.append(line)
    paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraphs).strip() + "\n"


def trailers_of(message: str) -> dict[str, str]:
    """What `compose` put into the last paragraph; nothing where that isn't a block of trailers."""
    paragraph = message.rstrip("\n").rpartition("\n\n")[2].split("\n")
    found = [_TRAILER.fullmatch(line) for line in paragraph]
    return {match[1]: match[2] for match in found if match} if all(found) else {}
