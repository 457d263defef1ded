"""The systems under test, one file a kind."""

from evalkit.targets._build import build_target
from evalkit.targets._setting import ChildCall, OptionError, Setting

__all__ = ["ChildCall", "OptionError", "Setting", "build_target"]
