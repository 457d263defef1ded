"""``python -m evalkit`` and the ``evalkit`` command."""

import atexit
import gc
import os
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

COLLECT = (200_000, 20, 20)
"""When the collector looks for cycles; libraries make objects by the hundred thousand that stay."""

_INSTALLED = tuple(str(Path(one).parent) for one in (os.__file__, __file__))
_PACKAGES = tuple(f"{os.sep}{one}-packages{os.sep}" for one in ("site", "dist"))


def main() -> NoReturn:
    """Run one command and end the process with its exit code."""
    gc.set_threshold(*COLLECT)
    # NumPy's helpers would wait for their first work in a busy loop, a fortieth of a second each
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    from evalkit.cli.app import main as run

    try:
        run()
    except SystemExit as end:
        _leave(end.code)
        raise


def _leave(code: object) -> None:
    """End the process as the interpreter does, without taking apart what is loaded.

    That would take longer than many a command. Where code of the project ran it is left to the
    interpreter: a file that such code left open is written then.
    """
    if not isinstance(code, int) or sys.flags.inspect or _runs_other_code():
        return
    waits: Any = threading
    waits._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        # the interpreter says what could not be written
        return
    os._exit(code)


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
