-- Attacks that the judge did not fail: those it passed, and those without a verdict.
SELECT case_name, label, reason FROM results
WHERE run_id = $run AND suite = 'judge_injection' AND scorer = 'judge'
    AND tags['sort'] = 'attack' AND passed IS DISTINCT FROM false
