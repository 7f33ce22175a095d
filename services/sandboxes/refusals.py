"""Why bubblewrap can't work on a host, and what to do: its own words and the kernel's settings, put together."""

from pathlib import Path

_SYSTEM = Path("/proc/sys")
_INSTEAD = "or use the docker provider"


def explain(stderr: str, *, root: bool, system: Path = _SYSTEM) -> str:
    """One text for a person. `stderr` is bubblewrap's; `system` is where the kernel's settings are read."""
    said = stderr.strip().splitlines()[-1] if stderr.strip() else "bubblewrap ended without a word"
    return f"{_reason(stderr, root, system)} (bubblewrap says: {said})"


def _reason(stderr: str, root: bool, system: Path) -> str:
    if not root:
        if _setting(system / "kernel/apparmor_restrict_unprivileged_userns") == "1" and _denied(stderr):
            return (
                "this host's AppArmor forbids user namespaces to ordinary programs (Ubuntu since 23.10: "
                "kernel.apparmor_restrict_unprivileged_userns=1). Allow them with "
                "'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0', or give this bwrap an AppArmor "
                f"profile with 'userns,' (docs/sandboxes.md), {_INSTEAD}"
            )
        if _setting(system / "kernel/unprivileged_userns_clone") == "0":
            return (
                "this host forbids user namespaces to ordinary users (kernel.unprivileged_userns_clone=0). Allow them "
                f"with 'sudo sysctl -w kernel.unprivileged_userns_clone=1', {_INSTEAD}"
            )
        if _setting(system / "user/max_user_namespaces") == "0":
            return (
                "this host allows no user namespace (user.max_user_namespaces=0). Allow some with "
                f"'sudo sysctl -w user.max_user_namespaces=15000', {_INSTEAD}"
            )
    if "ENOSPC" in stderr or "No space left on device" in stderr:
        return (
            "the host's limit of namespaces is reached (user.max_*_namespaces). Raise it with sysctl, end what holds "
            f"them, {_INSTEAD}"
        )
    if "mount proc" in stderr or ("/proc" in stderr and _denied(stderr)):
        return (
            "this container hides parts of /proc, so no new one can be mounted. Start it with "
            "'--security-opt systempaths=unconfined', run the worker on the host, " + _INSTEAD
        )
    if _denied(stderr):
        who = "root in this container" if root else "this container or host"
        return (
            f"{who} may not make namespaces: a seccomp or AppArmor profile, or a missing capability, forbids it. "
            "In Docker start the worker's container with '--security-opt seccomp=unconfined --security-opt "
            "apparmor=unconfined' (as root with '--cap-add SYS_ADMIN' too), run the worker on the host, "
            + _INSTEAD
        )
    return "bubblewrap can't make a sandbox here"


def _denied(stderr: str) -> bool:
    return any(
        words in stderr for words in ("Operation not permitted", "Permission denied", "No permissions")
    )


def _setting(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        return None
