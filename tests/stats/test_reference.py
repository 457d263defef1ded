"""Every reference case, each value of it, within its tolerance.

What the field uses instead and evalkit does not ship (Agresti–Coull, Newcombe and so on) is written
here, so that the whole of each case is held.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri

from evalkit.model import Case, Output
from evalkit.scorers._sacre import corpus_bleu
from evalkit.scorers.bleu import bleu as score_bleu
from evalkit.stats import (
    agreement,
    clusters,
    cost,
    judged,
    paired_means,
    planning,
    quantiles,
    repeats,
    several,
    sign_flips,
)
from evalkit.stats.betting import bet_on_harm, bet_on_pass
from evalkit.stats.corpus import corpus_difference
from evalkit.stats.evidence import Resampled
from evalkit.stats.intervals import (
    clopper_pearson,
    intraclass_correlation,
    jeffreys,
    quantile_ranks,
    wilson,
)
from evalkit.stats.missing import impute
from evalkit.stats.paired_rates import PairedCounts, mcnemar_exact, mcnemar_midp, tango_z
from evalkit.stats.sequential import boundaries, spent
from evalkit.stats.single_rates import ExactRate, cases_for_ceiling
from evalkit.stats.unpaired import TwoRates, gap_z

REFERENCE = Path(__file__).parents[2].parent / "shared" / "data" / "stats_reference.json"
CASES = json.loads(REFERENCE.read_text())["cases"] if REFERENCE.is_file() else []


def ends(interval):
    return [interval.low, interval.high]


def agresti_coull(k, n, alpha):
    z2 = ndtri(1 - alpha / 2) ** 2
    share = (k + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * share * (1 - share) / (n + z2))
    return [max(0.0, share - half), min(1.0, share + half)]


def proportion(inputs):
    k, n, alpha = inputs["successes"], inputs["n"], inputs["alpha"]
    return {
        "wilson": ends(wilson(k, n, 1 - alpha)),
        "clopper_pearson": ends(clopper_pearson(k, n, 1 - alpha)),
        "jeffreys": ends(jeffreys(k, n, 1 - alpha)),
        "agresti_coull": agresti_coull(k, n, alpha),
    }


def one_sided(inputs):
    level = 1 - 2 * inputs["alpha"]
    exact = clopper_pearson(inputs["successes"], inputs["n"], level)
    score = wilson(inputs["successes"], inputs["n"], level)
    return {
        "cp_lower": exact.low,
        "cp_upper": exact.high,
        "wilson_lower": score.low,
        "wilson_upper": score.high,
    }


def smallest_for_ceiling(inputs):
    alpha = 1 - inputs["confidence"]
    found = {str(c): cases_for_ceiling(inputs["ceiling"], events=c, alpha=alpha) for c in range(4)}
    return {"min_n_by_failures": found}


def verdict(passes, blocks):
    return "pass" if passes else "block" if blocks else "inconclusive"


def ceiling(inputs):
    rate = ExactRate(events=inputs["failures"], n=inputs["n"])
    at, alpha = inputs["ceiling"], inputs["alpha"]
    interval = rate.interval(1 - 2 * alpha)
    return {
        "upper": interval.high,
        "lower": interval.low,
        "p_exceeds": rate.p_above(at),
        "verdict": verdict(rate.p_below(at) <= alpha, rate.p_above(at) <= alpha),
    }


def newcombe(c, z):
    both, n = c.both_pass, c.n
    after, before = both + c.gain, both + c.loss
    level = math.erf(z / math.sqrt(2))
    one, two = wilson(after, n, level), wilson(before, n, level)
    p1, p2 = after / n, before / n
    top = both * c.both_fail - c.gain * c.loss
    bottom = math.sqrt(float(after * (n - after) * before * (n - before)))
    if bottom == 0:
        phi = 0.0
    elif top > 0:
        phi = max(top - n / 2, 0) / bottom
    else:
        phi = top / bottom
    l1, u1, l2, u2 = p1 - one.low, one.high - p1, p2 - two.low, two.high - p2
    low = p1 - p2 - math.sqrt(l1**2 - 2 * phi * l1 * u2 + u2**2)
    high = p1 - p2 + math.sqrt(u1**2 - 2 * phi * u1 * l2 + l2**2)
    return [low, high]


def adjusted_wald(c, z, extra, total):
    gain, loss, n = c.gain + extra, c.loss + extra, c.n + total
    diff = (gain - loss) / n
    half = z / n * math.sqrt(gain + loss - (gain - loss) ** 2 / n)
    return [diff - half, diff + half]


def paired_binary(inputs):
    names = ("both_pass", "gain", "loss", "both_fail")
    c, alpha = PairedCounts(**{name: inputs[name] for name in names}), inputs["alpha"]
    z = ndtri(1 - alpha / 2)
    p_harm = c.p_below(0)
    p_gain_side = mcnemar_exact(losses=c.loss, gains=c.gain)
    p_loss_side = mcnemar_exact(losses=c.gain, gains=c.loss)
    found = {
        "diff": c.value,
        "tango90": ends(c.interval(0.90)),
        "tango95": ends(c.interval(0.95)),
        "newcombe10_95": newcombe(c, z),
        "agresti_min_95": adjusted_wald(c, z, 0.5, 2),
        "bonett_price_95": adjusted_wald(c, z, 1, 2),
        "mcnemar_exact_two_sided": min(1.0, 2 * min(p_gain_side, p_loss_side)),
        "mcnemar_exact_less": p_loss_side,
        "mcnemar_midp_less": mcnemar_midp(losses=c.gain, gains=c.loss),
    }
    assert found["mcnemar_midp_less"] == p_harm
    for margin in (0.02, 0.03, 0.05):
        p = c.p_above(-margin)
        found |= {
            f"ni_z_{margin}": tango_z(c, -margin),
            f"ni_p_{margin}": p,
            f"verdict_{margin}": verdict(p <= alpha, p_harm <= alpha),
            f"real_drop_flag_{margin}": p_harm <= alpha,
        }
    return found


def paired_bounded(inputs):
    d = np.subtract(inputs["candidate"], inputs["baseline"])
    plain, level = paired_means.paired_t(d), 1 - 2 * inputs["alpha"]
    guarded = paired_means.guarded_t(d).interval(level)
    interval = plain.interval(level)
    return {
        "n": len(d),
        "mean_diff": plain.value,
        "se": plain.se,
        "lower95_one_sided": interval.low,
        "upper95_one_sided": interval.high,
        "p_harm": plain.p_below(0),
        "p_two_sided": 2 * min(plain.p_below(0), plain.p_above(0)),
        "p_ni_margin_0_15": plain.p_above(-0.15),
        "guarded_lower": guarded.low,
        "guarded_upper": guarded.high,
        "nonzero": int(np.count_nonzero(d)),
    }


def sign_flips_exact(inputs):
    d = inputs["differences"]
    p = sign_flips.sign_flip_p(d)
    n = 2 ** np.count_nonzero(d)
    return {"n_assignments": n, "count_le": round(p * n), "p": p, "dp_p": p}


def every_resample(inputs):
    values = inputs["values"]
    draws = [float(np.mean(one)) for one in itertools.product(values, repeat=len(values))]
    boot = Resampled.of(float(np.mean(values)), draws)
    interval = boot.interval(0.90)
    return {
        "mean": boot.value,
        "sd": float(np.std(boot.draws)),
        "p_le_0_5": (boot.p_above(0.5) * (len(draws) + 1) - 1) / len(draws),
        "q05": interval.low,
        "q95": interval.high,
    }


def cluster_se(inputs):
    d, groups = inputs["differences"], inputs["clusters"]
    found, count = clusters.clustered_t(d, groups), len(set(groups))
    interval = found.interval(0.90)
    uncorrected = found.se * math.sqrt((count - 1) / count)
    return {
        "mean": found.value,
        "se_cr0": uncorrected,
        "se_G_over_Gm1": found.se,
        "se_statsmodels_default": found.se,
        "se_statsmodels_nocorr": uncorrected,
        "lower95_t_Gm1": interval.low,
        "upper95_t_Gm1": interval.high,
    }


def design(inputs):
    rows = np.array(inputs["rows_are_clusters"])
    count, size = rows.shape
    icc = intraclass_correlation(rows.ravel(), np.repeat(np.arange(count), size))
    msb = size * rows.mean(axis=1).var(ddof=1)
    msw = rows.var(axis=1, ddof=1).mean()
    assert icc == pytest.approx((msb - msw) / (msb + (size - 1) * msw))
    return {"msb": msb, "msw": msw, "icc": icc, "deff": clusters.design_effect(icc, size)}


def ranks(inputs):
    n, q, alpha = inputs["n"], inputs["q"], inputs["alpha"]
    low, high = quantile_ranks(n, q, 1 - alpha)
    pmf = np.array([math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(n + 1)])
    one_sided_rank = quantile_ranks(n, q, 1 - 2 * alpha)[1]
    return {
        "rank_lower": low,
        "rank_upper": high,
        "coverage": float(pmf[low:high].sum()),
        "one_sided_upper_rank": one_sided_rank,
        "one_sided_upper_exists": n >= quantiles.samples_for_quantile(q, alpha=alpha),
    }


def exceeding(inputs):
    n, q, alpha = inputs["n"], inputs["q"], inputs["alpha"]
    values = [2.0] * inputs["above"] + [1.0] * (n - inputs["above"])
    rate = quantiles.exceedance(values, 1.5)
    interval = rate.interval(1 - 2 * alpha)
    return {
        "cp_upper": interval.high,
        "cp_lower": interval.low,
        "verdict": verdict(rate.p_below(1 - q) <= alpha, rate.p_above(1 - q) <= alpha),
    }


def shared_tail(inputs):
    n = inputs["n_each"]
    return {"p": quantiles.tail_share(inputs["candidate_above"], inputs["pooled_above"], n, n)}


def order_statistic(inputs):
    values, r = inputs["sorted_values"], inputs["r"]
    pmf = quantiles.order_statistic_pmf(len(values), r)
    return {"pmf": list(pmf), "mean": float(pmf @ values)}


def cost_ratio(inputs):
    pair = (inputs["candidate"], inputs["baseline"])
    found = cost.paired_log_ratio(*pair)
    interval = found.interval(1 - 2 * inputs["alpha"])
    return {
        "ratio": math.exp(found.value),
        "se_log": found.se,
        "lower95": math.exp(interval.low),
        "upper95": math.exp(interval.high),
        "geo_ratio": cost.geometric_ratio(*pair),
    }


def multiplicity(inputs):
    p, alpha = inputs["p"], inputs["alpha"]
    adjusted, bh = several.holm(p), several.benjamini_hochberg(p)
    return {
        "holm_adjusted": list(adjusted),
        "holm_reject": [bool(one <= alpha) for one in adjusted],
        "bh_adjusted": list(bh),
        "bh_reject": [bool(one <= alpha) for one in bh],
    }


def ebh(inputs):
    e, alpha = inputs["e_values"], inputs["alpha"]
    k = several.e_benjamini_hochberg(e, alpha)
    return {"n_reject": k, "threshold": len(e) / (alpha * k)}


def group_sequential(inputs):
    name = {"2": "obrien_fleming", "alpha*log": "pocock", "alpha*t": "rho2"}
    spending = next(value for key, value in name.items() if inputs["spending"].startswith(key))
    looks, alpha = inputs["looks"], inputs["alpha"]
    fractions = [(k + 1) / looks for k in range(looks)]
    return {
        "z": list(boundaries(fractions, alpha, spending)),
        "cumulative_alpha": [spent(t, alpha, spending) for t in fractions],
    }


def first_at_least(path, alpha):
    return int(np.flatnonzero(path >= -math.log(alpha))[0]) + 1


def e_process(inputs):
    margin, alpha = inputs["margin"], inputs["alpha"]
    if isinstance(inputs["d"], str):
        path = bet_on_pass(margin).path(np.zeros(150))
        return {"first_pass_index_1based": first_at_least(path, alpha)}
    harm = bet_on_harm().path(inputs["d"])
    return {
        "log_e_pass_last": bet_on_pass(margin).path(inputs["d"])[-1],
        "log_e_harm_last": harm[-1],
        "log_e_harm_all": list(harm),
        "first_block_index_1based": first_at_least(harm, alpha),
    }


def plan_pass(inputs):
    args = inputs["discordance"], inputs["margin"]
    return {
        f"n_pass_power_{power}": planning.cases_to_pass(*args, power=power) for power in (0.8, 0.9)
    }


def smallest(inputs):
    d, n = inputs["aa_discordance"], inputs["n"]
    naive = (ndtri(0.95) + ndtri(0.80)) * math.sqrt(d / n)
    return {"mde": planning.smallest_drop(n, d), "mde_naive": naive}


def structural(inputs):
    n = planning.structural_cases(inputs["margin"], alpha=inputs["alpha"])
    search = 1
    while (
        PairedCounts(both_pass=search, gain=0, loss=0, both_fail=0).p_above(-inputs["margin"])
        > inputs["alpha"]
    ):
        search += 1
    return {"n": search, "closed_form": n}


def must_not_fail(inputs):
    p, cases = inputs["case_pass_prob"], inputs["cases"]
    return {
        "single": repeats.must_pass_false_block(p, cases, confirm=0),
        "confirm_any_of_2": repeats.must_pass_false_block(p, cases, confirm=2),
        "confirm_both": repeats.must_pass_false_block(p, cases, confirm=2, all_must_fail=True),
    }


def pass_k(inputs):
    args = inputs["n"], inputs["c"], inputs["k"]
    return {"pass_at_k": repeats.pass_at_k(*args), "pass_hat_k": repeats.pass_hat_k(*args)}


def cohen(inputs):
    human, judge = inputs["human"], inputs["judge"]
    found = agreement.kappa(human, judge, resamples=4000)
    table = agreement.confusion(human, judge) / len(human)
    # Fleiss, Cohen and Everitt 1969: the large-sample error, which the bootstrap stands in for
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    seen, chance = float(np.trace(table)), float(rows @ columns)
    k = found.value
    a = sum(table[i, i] * (1 - (rows[i] + columns[i]) * (1 - k)) ** 2 for i in (0, 1))
    b = (1 - k) ** 2 * sum(
        table[i, j] * (columns[i] + rows[j]) ** 2 for i in (0, 1) for j in (0, 1) if i != j
    )
    se = math.sqrt((a + b - (k - chance * (1 - k)) ** 2) / len(human)) / (1 - chance)
    assert float(np.std(found.draws)) == pytest.approx(se, rel=0.25)
    half = ndtri(0.975) * se
    return {"kappa": k, "se": se, "ci95": [k - half, k + half], "raw_agreement": seen}


def weighted(inputs):
    pair = inputs["r1"], inputs["r2"]
    names = {"unweighted": "none", "linear": "linear", "quadratic": "quadratic"}
    return {
        key: agreement.kappa(*pair, weights=value, resamples=1).value
        for key, value in names.items()
    }


def krippendorff(inputs):
    return {
        scale: agreement.krippendorff_alpha(inputs["ratings"], scale, resamples=1).value
        for scale in ("nominal", "ordinal", "interval")
    }


def ppi(inputs):
    rest = [1.0] * 150 + [0.0] * 30
    tune = inputs["tune"]
    found = judged.prediction_powered_mean(inputs["Y"], inputs["Yhat"], rest, tune=tune)
    return {"estimate": found.value, "ci": ends(found.interval(0.95))}


def post_stratified(inputs):
    found = judged.corrected_rate(
        judged.JudgeLabels(
            n=inputs["N"],
            judge_passed=inputs["judge_pass"],
            labelled_passed=inputs["labelled_judge_pass"],
            true_of_passed=inputs["true_among_those"],
            labelled_failed=inputs["labelled_judge_fail"],
            true_of_failed=inputs["true_among_those_fail"],
        )
    )
    return {
        "posterior_mean": found.value,
        "q025": found.interval(0.95).low,
        "q05": found.interval(0.90).low,
        "q975": found.interval(0.95).high,
        "judge_only": inputs["judge_pass"] / inputs["N"],
    }


def flaky(inputs):
    args = inputs["passes"], inputs["trials"]
    return {
        "p_flaky": repeats.flakiness(*args),
        "disagree": repeats.expected_disagreement(*args),
    }


def suite_error(inputs):
    trials = inputs["trials"]
    values = list(itertools.chain.from_iterable(trials))
    owner = [case for case, row in enumerate(trials) for _ in row]
    moments = repeats.case_moments(values, owner)
    return {
        "mean": float(moments.means.mean()),
        "se_suite": repeats.suite_se(moments),
        "se_population": repeats.population_se(moments),
        "aa_discordance": repeats.disagreement(moments),
    }


def missing_bounds(inputs):
    gone, n = inputs["baseline_of_missing"], inputs["n"]
    seen = inputs["observed_pairs"]
    baseline = np.array([0.5] * seen + gone)
    shift = inputs["sum_diff_observed"] / seen
    candidate = [0.5 + shift] * seen + [None] * len(gone)
    filled = impute(candidate, (0.0, 1.0))
    assert filled.missing == n - seen
    return {
        "lower_mean": float((filled.worst - baseline).mean()),
        "upper_mean": float((filled.best - baseline).mean()),
    }


def bleu(inputs):
    def scores(name):
        pairs = zip(inputs[name], inputs["refs"], strict=True)
        return score_bleu([(Case.of({}, expected=ref), Output(text=hyp)) for hyp, ref in pairs])

    one, two = scores("sys1"), scores("sys2")
    sides = [one_score.stats for one_score in one], [one_score.stats for one_score in two]
    difference = corpus_difference(*sides, corpus_bleu)
    first = corpus_bleu(np.sum(sides[0], axis=0).tolist())
    return {
        "bleu1": first,
        "bleu2": first - difference.value,
        "mean_sentence_bleu1": float(np.mean([one_score.value for one_score in one])),
    }


def unpaired(inputs):
    rates = TwoRates(
        first_passed=inputs["k2"],
        first=inputs["n2"],
        second_passed=inputs["k1"],
        second=inputs["n1"],
    )
    return {"z": gap_z(rates, 0.0), "p_less": rates.p_below(0.0)}


COMPUTE = {
    "prop_ci": proportion,
    "prop_onesided": one_sided,
    "rate_min_n": smallest_for_ceiling,
    "rate_gate": ceiling,
    "paired_binary": paired_binary,
    "paired_bounded_t": paired_bounded,
    "signflip_exact": sign_flips_exact,
    "bootstrap_exact": every_resample,
    "cluster_se": cluster_se,
    "icc_deff": design,
    "quantile_rank": ranks,
    "exceed": exceeding,
    "quantile_hypergeom": shared_tail,
    "boot_quantile_pmf": order_statistic,
    "cost_ratio": cost_ratio,
    "multiplicity": multiplicity,
    "ebh": ebh,
    "gs_": group_sequential,
    "eprocess": e_process,
    "plan_pass": plan_pass,
    "mde": smallest,
    "structural_min_n": structural,
    "mnf": must_not_fail,
    "passk": pass_k,
    "cohen_kappa": cohen,
    "weighted_kappa": weighted,
    "krippendorff": krippendorff,
    "fleiss": lambda inputs: {"kappa": agreement.fleiss_kappa(inputs["table"])},
    "ppi_mean_lam1": lambda inputs: ppi(inputs | {"tune": False}),
    "ppi_mean_tuned": lambda inputs: ppi(inputs | {"tune": True}),
    "judge_poststrat": post_stratified,
    "flaky": flaky,
    "suite_se": suite_error,
    "missing_bounds": missing_bounds,
    "bleu": bleu,
    "two_prop_z": unpaired,
}


def test_all_reference_cases_are_here():
    if not CASES:
        pytest.skip("the shared measuring data is not here")
    assert len(CASES) == 77


@pytest.mark.parametrize("case", CASES, ids=[one["id"] for one in CASES])
def test_reference_case(case):
    compute = next(value for key, value in COMPUTE.items() if case["id"].startswith(key))
    found, expected = compute(case["inputs"]), case["expected"]
    assert set(found) == set(expected)
    # a tolerance of 0 means an integer or an exact decimal: leave room for rounding alone
    tolerance = max(case["tol"], 1e-12)
    for key, value in expected.items():
        if isinstance(value, float) or (isinstance(value, list) and not isinstance(value[0], bool)):
            assert found[key] == pytest.approx(value, abs=tolerance, rel=0), key
        else:
            assert found[key] == value, key
