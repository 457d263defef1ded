-- Conversations: what a case's user says turn by turn, and how each turn of a trial went.

ALTER TABLE cases ADD COLUMN turns STRUCT("user" VARCHAR, expected JSON, metadata JSON)[];
COMMENT ON COLUMN cases.turns IS 'What the user says in a conversation, with what each answer is judged by; NULL for a single question.';
COMMENT ON COLUMN cases.case_id IS 'Hash of inputs, context, turns and expected.';
COMMENT ON COLUMN cases.input_id IS 'Hash of inputs, context and turns without expectations; equal where only the expectation changed.';
COMMENT ON COLUMN cases.expected IS 'The right answer, a list of right answers, or any JSON value; of a conversation, for its last answer.';

ALTER TABLE trials ADD COLUMN turns STRUCT(
    "user" VARCHAR, output VARCHAR, output_context VARCHAR[],
    tool_calls STRUCT(name VARCHAR, arguments VARCHAR, id VARCHAR)[], finish_reason VARCHAR,
    model VARCHAR, provenance VARCHAR, latency_s DOUBLE, ttft_s DOUBLE,
    inter_token STRUCT("count" BIGINT, mean_s DOUBLE, p95_s DOUBLE, max_s DOUBLE),
    cost_usd DOUBLE, input_tokens BIGINT, output_tokens BIGINT, cached_tokens BIGINT,
    cache_write_tokens BIGINT, reasoning_tokens BIGINT, extra JSON
)[];
COMMENT ON COLUMN trials.turns IS 'The turns of a conversation in order, each with its own answer, times and tokens; of a failed trial those before the failure; NULL for a single question. One row a turn: unnest(turns, recursive := true).';
COMMENT ON COLUMN trials.messages IS 'Messages as they were sent; of a conversation those of its first call.';
COMMENT ON COLUMN trials.output IS 'Text of the answer; of a conversation the last one.';
COMMENT ON COLUMN trials.latency_s IS 'The answering attempt, first byte sent to last received; seconds, without waits and retries. The sum over the turns of a conversation.';
COMMENT ON COLUMN trials.ttft_s IS 'Time to the first piece of a streamed answer, seconds; the longest of the turns of a conversation.';
COMMENT ON COLUMN trials.queue_s IS 'Wait for a slot or a rate limit before the last attempt, seconds; the sum over the turns of a conversation.';
COMMENT ON COLUMN scores.evidence IS 'Pieces of text the score rests on; start and end count characters. source turn:N is what turn N of a conversation got, turn:N:output a piece of its answer.';

CREATE OR REPLACE VIEW answers AS
SELECT
    run_id, suite, target, case_id, trial, case_name, tags, output, output_context, tool_calls,
    left(sha256(concat_ws(
        chr(30), output, array_to_string(output_context, chr(31)), tool_calls::VARCHAR,
        array_to_string(list_transform(turns[:-2], lambda turn: concat_ws(
            chr(28), turn.output, array_to_string(turn.output_context, chr(31)),
            turn.tool_calls::VARCHAR
        )), chr(29))
    )), 20) AS output_hash,
    turns
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
COMMENT ON COLUMN answers.output_hash IS 'Hash of output, output_context and tool_calls, of every turn; equal where two runs gave the same answer.';
COMMENT ON COLUMN answers.turns IS 'The turns of a conversation; see trials.';
