"""What may be wrong before anything is run: the machine, the project, its store, its targets."""

from evalkit.doctor.check import Check, State, exit_code
from evalkit.doctor.examine import examine

__all__ = ["Check", "State", "examine", "exit_code"]
