"""The SDK's core, and where it tells what goes wrong."""

import functools
import logging

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter


@functools.cache
def log_to_python() -> None:
    """Before the first client of a process: let the core log as all else does. By itself it prints to standard output,
    where a command's one JSON object is."""
    config = LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
    )
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=config)), error_if_already_set=False)
