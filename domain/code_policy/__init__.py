"""What a strategy's code may use.

This is hygiene, not the wall. It tells an honest author early, by line, what will not work, and turns away what
plainly has no business in a strategy. Python can't be made safe by reading it: whoever wants to get past these rules
will find a way, and the sandbox must hold without them.
"""

from collections.abc import Collection

from domain.code_policy.checks import Checks
from domain.code_policy.costs import Costs
from domain.code_policy.entrypoint import check_entrypoint
from domain.code_policy.environment import check_environment
from domain.code_policy.reading import MAX_CHARACTERS, MAX_DEPTH, UnreadableCode, check_size, read_code
from domain.code_policy.rules import READING, RULES
from domain.code_policy.scopes import Imports
from domain.code_policy.shape import describe_code
from domain.code_policy.values import Values
from schemas.code import Finding

__all__ = [
    "MAX_CHARACTERS",
    "MAX_DEPTH",
    "MAX_FINDINGS",
    "READING",
    "RULES",
    "UnreadableCode",
    "check_code",
    "check_size",
    "describe_code",
    "read_code",
]

MAX_FINDINGS = 100


def check_code(source: str, entrypoint: str | None = None, secrets: Collection[str] = ()) -> list[Finding]:
    """All findings in the order of lines, at most MAX_FINDINGS; none means that the code may be tried.

    `entrypoint` names the class that will be run; with None any subclass of backtesting.Strategy will do. `secrets` are
    the names that the definition asks for: these alone may be read from the environment. Text that can't be read gives
    one finding that says what it is. Whatever the text, nothing is raised.
    """
    try:
        tree = read_code(source)
    except UnreadableCode as unreadable:
        return [unreadable.finding]
    imports = Imports(tree)
    walks = (Checks(tree, imports, secrets), Values(tree, imports), Costs(tree, imports))
    findings = {finding for walk in walks for finding in walk.findings} | {
        *check_entrypoint(tree, imports, entrypoint),
        *check_environment(tree, secrets),
    }
    return sorted(findings, key=lambda f: (f.line, f.column, f.rule, f.message))[:MAX_FINDINGS]
