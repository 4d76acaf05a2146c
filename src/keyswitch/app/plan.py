"""What an update would do: the device is asked what a plan needs, changing nothing, and the plan is made."""

from keyswitch.app.endpoints import line_to
from keyswitch.app.update import Prepared
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.update.plan import Plan, PlannedDevice, make_plan
from keyswitch.host.update.survey import declared, survey


async def ask_for_plan(prepared: Prepared) -> tuple[Plan, PlannedDevice]:
    """The plan of a prepared update, and what its device has told for it; closes the endpoint.

    Raises:
        LinkLostError: the device was not reached, or the link ended meanwhile.
        SilenceError: it did not answer what every device can be asked.
        RemoteError: it broke the protocol.
        InputError: the target names several devices.
    """
    try:
        device = await survey(prepared.endpoint, prepared.policy, to=_to(prepared), entry=prepared.job.way.field)
    finally:
        await prepared.endpoint.close()
    return _made(prepared, device), device


def plan_unasked(prepared: Prepared) -> Plan:
    """The plan by file and policy alone."""
    return _made(prepared, declared(prepared.policy, to=_to(prepared)))


def _made(prepared: Prepared, device: PlannedDevice) -> Plan:
    return make_plan(prepared.job, device, line_to(prepared.request.target))


def _to(prepared: Prepared) -> str | None:
    """The maintenance mode that would be entered, where the policy names it."""
    return prepared.job.way.to if isinstance(prepared.job.way, ModeGroupStrategy) else None
