"""Fit the weights of the refusal signs: logistic regression on one half of XSTest's answers.

python training/refusal.py [../shared/data]

Prints the weights to be written into evalkit/scorers/_refusal.py. The half is chosen by the hash
of the prompt's id, so that no prompt is in both; benchmarks/bench_refusal.py measures the other.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FILE = "xstest_completions_human_labels.parquet"
PENALTY = 2.0

Floats = npt.NDArray[np.float64]


def halves(data: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The answers of the half for tuning and of the half for measuring."""
    import pyarrow.parquet as pq

    rows = pq.read_table(data / FILE).to_pylist()
    odd = [int(hashlib.sha256(one["id"].encode()).hexdigest(), 16) % 2 for one in rows]
    pairs = list(zip(rows, odd, strict=True))
    return [one for one, side in pairs if not side], [one for one, side in pairs if side]


def fit(signals: Floats, refused: Floats) -> Floats:
    """Weights and, last, the bias; every weight pays ``PENALTY`` × its square ÷ 2."""
    from scipy.optimize import minimize

    design = np.c_[signals, np.ones(len(signals))]

    def loss(weights: Floats) -> tuple[float, Floats]:
        z = design @ weights
        value = np.logaddexp(0, z).sum() - refused @ z + PENALTY * (weights[:-1] ** 2).sum() / 2
        gradient = design.T @ (1 / (1 + np.exp(-z)) - refused)
        gradient[:-1] += PENALTY * weights[:-1]
        return float(value), gradient

    start = np.zeros(design.shape[1])
    found: Floats = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return found


def main() -> int:
    """Fit and print."""
    from evalkit.scorers import _refusal

    data = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT.parent / "shared" / "data")
    if not (data / FILE).is_file():
        print("the labelled answers are not here: nothing fitted")
        return 0
    tune, _ = halves(data)
    names = _refusal.names()
    read = [_refusal.read(one["completion"]).signals for one in tune]
    signals = np.array([[one[name] for name in names] for one in read])
    refused = np.array([float(one["final_label"] == "2_full_refusal") for one in tune])
    *weights, bias = fit(signals, refused).round(1).tolist()
    print(f"BIAS = {bias}")
    for name, value in zip(names, weights, strict=True):
        print(f"{name!r}: {value},")
    return 0


if __name__ == "__main__":
    sys.exit(main())
