"""A recorded machine that commands change as they would change a real one.

It knows commands and packages, no steps: whether a state is reached is answered by the real facts,
which read what the commands left behind. A command it does not know is an error.
"""

from tests.unit.simulated.machine import Simulated
from tests.unit.simulated.state import Refused

__all__ = ["Refused", "Simulated"]
