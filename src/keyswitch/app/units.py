"""The policy that is meant, as the unit has it that is meant."""

from pathlib import Path

from keyswitch.errors import Field, InputError, Phrase
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy
from keyswitch.policy.units import Unit, read_unit, with_unit


def policy_of_unit(
    policy: Path | None, inventory: Path | None, wanted: str | None
) -> tuple[Policy | None, Unit | None]:
    """The policy with the unit's identity and secret in it, and the unit; None for what was not given.

    Args:
        policy: of the product.
        inventory: file with its units.
        wanted: the unit's id there; None: the only one in the file.

    Raises:
        InputError: a file cannot be used, it is not said which unit, or there is no policy.
    """
    rules = read_policy(policy) if policy is not None else None
    if inventory is None:
        return rules, None
    if rules is None:
        raise InputError(Field("inventory"), "means nothing without a policy", Phrase("{policy} FILE"))
    unit = read_unit(inventory, wanted)
    return with_unit(rules, unit), unit
