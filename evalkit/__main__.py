"""``python -m evalkit`` and the ``evalkit`` command."""

from evalkit.cli.app import main

if __name__ == "__main__":
    main()
