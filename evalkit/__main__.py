"""``python -m evalkit`` and the ``evalkit`` command."""

import atexit
import gc
import os
from typing import NoReturn

COLLECT = (200_000, 20, 20)
"""When the collector looks for cycles; libraries make objects by the hundred thousand that stay."""


def main() -> NoReturn:
    """Run one command and end the process with its exit code."""
    gc.set_threshold(*COLLECT)
    # NumPy's helpers would wait for their first work in a busy loop, a fortieth of a second each
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    # the interpreter would look through everything twice before it gives the memory back anyway
    atexit.register(gc.freeze)
    from evalkit.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
