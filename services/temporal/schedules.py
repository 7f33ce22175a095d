"""Schedules: made when a worker starts, changed only where they differ."""

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode


async def keep_schedule(client: Client, schedule_id: str, wanted: Schedule) -> str:
    """See that the schedule is there as wanted; `created`, `updated` or `unchanged`. A pause by a person stays."""
    handle = client.get_schedule_handle(schedule_id)
    try:
        about = await handle.describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        try:
            await client.create_schedule(schedule_id, wanted)
        except ScheduleAlreadyRunningError:
            return "unchanged"  # another worker was first
        return "created"
    if await _essence(client, about.schedule) == await _essence(client, wanted):
        return "unchanged"

    def change(update: ScheduleUpdateInput) -> ScheduleUpdate:
        wanted.state = update.description.schedule.state
        return ScheduleUpdate(schedule=wanted)

    await handle.update(change)
    return "updated"


async def _essence(client: Client, schedule: Schedule) -> tuple[object, ...]:
    """What makes two schedules the same. The server gives arguments back as they were encoded."""
    action = schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    arguments = [
        (
            argument
            if hasattr(argument, "SerializeToString")
            else (await client.data_converter.encode([argument]))[0]
        )
        for argument in action.args
    ]
    return (
        action.workflow,
        action.task_queue,
        action.id,
        [argument.data for argument in arguments],
        [interval.every for interval in schedule.spec.intervals],
        schedule.policy.overlap,
        schedule.policy.catchup_window,
    )
