"""All planted faults, by name: `pytest --planted 'NAME'` runs any test with one of them."""

from tests.planted import door, machine
from tests.planted.fault import Fault

ALL: list[Fault] = [*door.FAULTS, *machine.FAULTS]

FAULTS = {each.name: each for each in ALL}
