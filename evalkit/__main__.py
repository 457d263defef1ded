"""``python -m evalkit`` and the ``evalkit`` command."""

import atexit
import gc
from typing import NoReturn

COLLECT = (200_000, 20, 20)
"""When the collector looks for cycles; libraries make objects by the hundred thousand that stay."""


def main() -> NoReturn:
    """Run one command and end the process with its exit code."""
    gc.set_threshold(*COLLECT)
    # the interpreter would look through everything twice before it gives the memory back anyway
    atexit.register(gc.freeze)
    from evalkit.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
