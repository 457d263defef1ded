-- What people say of answers: on which text, how it was chosen, and whether scores were hidden.

ALTER TABLE labels ADD COLUMN blind BOOLEAN;
ALTER TABLE labels ADD COLUMN source VARCHAR;
ALTER TABLE labels ADD COLUMN selection VARCHAR;
ALTER TABLE labels ADD COLUMN output_hash VARCHAR;
COMMENT ON COLUMN labels.name IS 'The question; a scorer''s name makes labels and scores comparable.';
COMMENT ON COLUMN labels.value IS 'Rating from 1, the worst, to 5; NULL without one.';
COMMENT ON COLUMN labels.passed IS 'The judgement as a decision; NULL without one.';
COMMENT ON COLUMN labels.label IS 'agree or disagree, where the verdict of the scorer called name was judged.';
COMMENT ON COLUMN labels.blind IS 'Whether scores and target were hidden until the judgement; NULL is unknown.';
COMMENT ON COLUMN labels.source IS 'review or import.';
COMMENT ON COLUMN labels.selection IS 'How the answer was chosen: all, sample, uncertain, disagree or unknown; only all and sample stand for the rest.';
COMMENT ON COLUMN labels.output_hash IS 'Hash of the answer that was judged, with what its target retrieved and called; see answers.';

CREATE VIEW answers AS
SELECT
    run_id, suite, target, case_id, trial, case_name, tags, output, output_context, tool_calls,
    left(sha256(concat_ws(
        chr(30), output, array_to_string(output_context, chr(31)), tool_calls::VARCHAR
    )), 20) AS output_hash
FROM trials
WHERE status = 'ok' AND output IS NOT NULL;
COMMENT ON VIEW answers IS 'One row an answer with its hash; joins with labels USING (case_id, output_hash), whichever run it is from.';
COMMENT ON COLUMN answers.run_id IS 'The run. Joins with trials and scores USING (run_id, suite, target, case_id, trial).';
COMMENT ON COLUMN answers.suite IS 'Suite.';
COMMENT ON COLUMN answers.target IS 'Target that answered.';
COMMENT ON COLUMN answers.case_id IS 'Case; see cases.';
COMMENT ON COLUMN answers.trial IS 'Which repetition of the case, from 0.';
COMMENT ON COLUMN answers.case_name IS 'Name of the case in this run.';
COMMENT ON COLUMN answers.tags IS 'Tags of the case in this run, as tags[''lang''].';
COMMENT ON COLUMN answers.output IS 'Text of the answer.';
COMMENT ON COLUMN answers.output_context IS 'Passages the target itself retrieved.';
COMMENT ON COLUMN answers.tool_calls IS 'Functions the model asked to call.';
COMMENT ON COLUMN answers.output_hash IS 'Hash of output, output_context and tool_calls; equal where two runs gave the same answer.';
