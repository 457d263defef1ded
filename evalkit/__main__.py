"""``python -m evalkit`` and the ``evalkit`` command."""

import atexit
import gc
import os
import sys
from pathlib import Path
from typing import NoReturn

from evalkit.errors import ExitCode

COLLECT = (200_000, 20, 20)
"""When the collector looks for cycles; libraries make objects by the hundred thousand that stay."""

_INSTALLED = tuple(str(Path(one).parent) for one in (os.__file__, __file__))
_PACKAGES = tuple(f"{os.sep}{one}-packages{os.sep}" for one in ("site", "dist"))


def main() -> NoReturn:
    """Run one command and end the process with its exit code."""
    gc.set_threshold(*COLLECT)
    # NumPy's helpers would wait for their first work in a busy loop, a fortieth of a second each
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    atexit.register(_freeze)
    try:
        from evalkit.cli.app import main as run

        run()
    except KeyboardInterrupt:
        # while libraries were imported, before any command could tell
        sys.stderr.write("interrupted\n")
        sys.exit(ExitCode.INTERRUPTED)


def _freeze() -> None:
    """Spare the last collections: the memory is given back anyway.

    Not where code of the project ran: what it left, such as an open file, is closed by them.
    """
    if not _runs_other_code():
        gc.freeze()


def _runs_other_code() -> bool:
    """Whether a module was loaded that is neither installed nor evalkit's own."""
    for name, module in list(sys.modules.items()):
        file = str(getattr(module, "__dict__", {}).get("__file__") or "")
        known = not file or name == "__main__" or file.startswith(_INSTALLED)
        if not known and not any(one in file for one in _PACKAGES):
            return True
    return False


if __name__ == "__main__":
    main()
