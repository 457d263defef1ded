"""How long ``evalkit --help`` and ``--version`` take, beside a bare Python and ``import typer``."""

import sys

from measure import interleaved, median, median_ratio

ROUNDS = 15
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import typer": [sys.executable, "-c", "import typer"],
    "evalkit --version": [sys.executable, "-m", "evalkit", "--version"],
    "evalkit --help": [sys.executable, "-m", "evalkit", "--help"],
    "evalkit run --help": [sys.executable, "-m", "evalkit", "run", "--help"],
}
BAR = 2.0


def main() -> int:
    found = interleaved(COMMANDS, rounds=ROUNDS)
    print(f"{'command':<22} {'wall ms':>8} {'CPU ms':>8} {'÷ python':>9} {'÷ typer':>9}")
    late = []
    for name, figures in found.items():
        to_typer = median_ratio(figures, found["import typer"], "cpu_s")
        print(
            f"{name:<22} {median(figures, 'wall_s') * 1e3:>8.0f}"
            f" {median(figures, 'cpu_s') * 1e3:>8.0f}"
            f" {median_ratio(figures, found['python -c pass'], 'cpu_s'):>9.2f} {to_typer:>9.2f}"
        )
        if name in {"evalkit --version", "evalkit --help"} and to_typer > BAR:
            late.append(name)
    print(
        f"bar: --help and --version at most {BAR} x import typer, CPU;",
        f"missed: {late}" if late else "held",
    )
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
