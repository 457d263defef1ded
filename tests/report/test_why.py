"""One case in two runs: what changed, what came of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from example_runs import example_case, example_run, example_trial, failed_trial

from evalkit.model import PromptVersion, ToolCall
from evalkit.report.screen import Screen
from evalkit.report.why import score_changes, sides, verdict_on, why_json, why_text

OLD, NEW = "20261121-093000-4e77", "20261121-103000-5f88"


def runs():
    old = example_run(OLD)
    prompt = PromptVersion(
        version="000000000000", path="prompts/answer.j2", text="{{ question }} Be brief."
    )
    target = replace(old.targets[0], prompt_version=prompt.version, options={"temperature": 1})
    return old, replace(old, id=NEW, prompts=(prompt,), targets=(target, old.targets[1]))


def trial(run, quality, text=None, index=0):
    found = example_trial(run, example_case(4), "small", quality=quality)
    output = found.output if text is None else replace(found.output, text=text)
    return replace(found, output=output, index=index)


def shown(before, after, width=100, **screen):
    old, new = runs()
    return why_text(sides(before, after), old, new, Screen(width=width, **screen))


def test_a_regression_shows_cause_words_and_scores():
    text = shown(
        [trial(OLD, 0.9, "You may return it within 14 days of the purchase.")],
        [trial(NEW, 0.2, "You may return it within 30 days of the purchase.")],
    )
    assert "change    prompt: prompts/answer.j2 v3 9f2c3d4 -> 0000000" in text
    assert "temperature: - -> 1" in text
    assert "{+ Be brief.+}" in text
    assert "within [-14-]{+30+} days" in text
    assert "exact_match" in text
    assert f"next      evalkit show {NEW}" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("width", [60, 80])
def test_it_fits_a_narrow_terminal(width):
    text = shown([trial(OLD, 0.9)], [trial(NEW, 0.2, "word " * 90)], width=width, unicode=True)
    assert max(map(len, text.splitlines())) <= width


def test_of_long_answers_the_change_is_shown():
    same = "word " * 50_000
    text = shown([trial(OLD, 0.9, f"{same}done")], [trial(NEW, 0.2, f"{same}over {same}")])
    assert "[249,800 characters that both have]" in text
    assert "[-done-]{+over" in text
    text = shown([trial(OLD, 0.9, f"one {same}.")], [trial(NEW, 0.2, f"two {same}.")])
    assert "[-one-]{+two+} word" in text


def test_texts_that_share_nothing_are_both_shown():
    text = shown([trial(OLD, 0.9, "Fourteen days.")], [trial(NEW, 0.2, "Ask the desk, please")])
    assert "hardly a word is shared" in text
    assert "base      Fourteen days." in text
    assert "cand      Ask the desk, please" in text


def test_the_same_text_with_another_score_is_the_scorer():
    (both,) = sides([trial(OLD, 0.9, "same")], [trial(NEW, 0.2, "same")])
    assert verdict_on(both, score_changes(both)) == "same text; the scorer moved, not the model"
    (both,) = sides([trial(OLD, 0.9, "same")], [trial(NEW, 0.9, "same")])
    assert verdict_on(both, score_changes(both)) == "the same"
    (both,) = sides([trial(OLD, 0.9, "so")], [trial(NEW, 0.9, "thus")])
    assert verdict_on(both, score_changes(both)).startswith("reworded")


def test_another_tool_call_is_another_answer():
    def called(run, quality, amount):
        one = trial(run, quality, "Done.")
        calls = (ToolCall(name="refund", arguments=f'{{"amount": {amount}}}'),)
        return replace(one, output=replace(one.output, tool_calls=calls))

    both = [called(OLD, 0.9, 3)], [called(NEW, 0.2, 30)]
    text = shown(*both)
    assert 'tool call: refund({"amount": [-3-]{+30+}})' in text
    assert "same text" not in text
    (one,) = sides(*both)
    assert verdict_on(one, score_changes(one)) == "the scores moved"


def test_what_an_answer_took_is_no_move_of_a_scorer():
    slower = trial(NEW, 0.9, "same")
    took = replace(slower.scores[0], name="speed", signature="latency|max:none|v:1")
    fast = replace(took, score=replace(slower.scores[0].score, value=0.1))
    slow = replace(took, score=replace(slower.scores[0].score, value=0.7))
    before = replace(trial(OLD, 0.9, "same"), scores=(slower.scores[0], fast))
    (both,) = sides([before], [replace(slower, scores=(slower.scores[0], slow))])
    assert verdict_on(both, score_changes(both)) == "the same"


def test_new_removed_and_failed():
    after = trial(NEW, 0.9)
    assert "new: the baseline has no such case" in shown([], [after])
    assert "removed" in shown([trial(OLD, 0.9)], [])
    text = shown([trial(OLD, 0.9)], [failed_trial(NEW, example_case(4), "small")])
    assert "error: the candidate did not answer" in text


def test_all_trials_are_listed_and_json_has_everything():
    before = [trial(OLD, 0.9, "one", index) for index in range(3)]
    after = [trial(NEW, 0.2, "two", 0), trial(NEW, 0.9, "one", 1)]
    text = shown(before, after)
    assert [
        line.split("  ")[0] for line in text.splitlines() if line.startswith(("base ", "cand "))
    ][-5:] == ["base 0", "base 1", "base 2", "cand 0", "cand 1"]
    value = why_json(sides(before, after), *runs())
    (target,) = value["targets"]
    assert len(target["baseline"]) == 3
    assert target["scores"][0]["before"] != target["scores"][0]["after"]


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ("red\u202e", "red{+\\u{202e}+}"),
        ("red\0", "red{+\\u{0}+}"),
        ("red\x1b[0m", "red{+\\u{1b}[0m+}"),
        ("re\u200bd", "[-red-]{+re\\u{200b}d+}"),
        ("red\u200d", "red{+\\u{200d}+}"),
        ("red\n", "red{+\\u{a}+}"),
    ],
)
def test_what_nobody_sees_is_told_where_the_texts_look_alike(after, told):
    text = shown([trial(OLD, 1.0, "red")], [trial(NEW, 0.0, after)])
    assert f"output    the same but for what cannot be seen\n          {told}\n" in text


def test_what_nobody_sees_is_written_out_among_other_changes():
    text = shown(
        [trial(OLD, 1.0, "It is fourteen days after the purchase.")],
        [trial(NEW, 0.0, "It is\u2060 thirty days after the purchase.")],
    )
    assert "It is[- fourteen-]{+\\u{2060} thirty+} days" in text
    assert "the same but" not in text
    text = shown([trial(OLD, 1.0, "Fourteen")], [trial(NEW, 0.0, "Ask\u202e the desk, please")])
    assert "cand      Ask\\u{202e} the desk, please" in text


def test_a_prompt_shows_what_nobody_sees():
    old, new = runs()
    hidden = replace(old.prompts[0], version="1" * 12, text=f"{old.prompts[0].text}\u200b")
    target = replace(new.targets[0], prompt_version=hidden.version)
    new = replace(new, prompts=(hidden,), targets=(target, new.targets[1]))
    both = sides([trial(OLD, 1.0)], [trial(NEW, 0.0)])
    assert "{+\\u{200b}+}" in why_text(both, old, new, Screen())


def test_a_hostile_answer_steers_nothing():
    bad = "\x1b]0;title\x07\x1b[31mred\u202e [bold]x[/bold] {{7*7}}"
    text = shown([trial(OLD, 0.9, "fine")], [trial(NEW, 0.2, bad)], unicode=True)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]x[/bold]" in text
