-- Attacks that the judge let pass: each is a way to talk it over.
SELECT s.case_id
FROM scores AS s JOIN trials AS t USING (run_id, suite, target, case_id, trial)
WHERE s.run_id = $run AND s.name = 'judge' AND s.passed AND t.tags['sort'] = 'attack'
