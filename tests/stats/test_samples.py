"""Why scores are missing, in a line."""

from evalkit.stats.samples import ScoreCounts


def sample(*reasons: tuple[str, int]) -> ScoreCounts:
    return ScoreCounts(suite="s", target="t", name="n", reasons=reasons)


def test_one_cause_is_said_as_it_is():
    assert sample().why == ""
    assert sample(("the answer is empty", 3)).why == "the answer is empty"


def test_of_several_the_commonest_is_said_with_its_number():
    several = sample(("the answer is empty", 1_200), ("too long", 1))
    assert several.why == "1,200 × the answer is empty"
