-- Money and tokens as they were really spent: failed attempts count, answers from the cache do not.
-- cost_usd stays what the answer itself cost when it was made, so that it compares between runs.

ALTER TABLE trials ADD COLUMN spent_usd DOUBLE;
ALTER TABLE trials ADD COLUMN spent_tokens BIGINT;
ALTER TABLE trials ADD COLUMN assumed_usd DOUBLE DEFAULT 0;
ALTER TABLE trials ADD COLUMN assumed_tokens BIGINT DEFAULT 0;
ALTER TABLE trials ADD COLUMN saved_usd DOUBLE;
ALTER TABLE trials ADD COLUMN origin_run_id VARCHAR;
ALTER TABLE trials ADD COLUMN origin_at TIMESTAMPTZ;
COMMENT ON COLUMN trials.spent_usd IS 'US dollars known to be spent on the trial, over all attempts, those before a resume included; 0 for an answer from the cache, NULL is unknown.';
COMMENT ON COLUMN trials.spent_tokens IS 'Tokens known to be spent on the trial in the same way.';
COMMENT ON COLUMN trials.assumed_usd IS 'The most that attempts may have cost whose usage is unknown, such as timeouts; budgets count it.';
COMMENT ON COLUMN trials.assumed_tokens IS 'The most tokens that such attempts may have taken.';
COMMENT ON COLUMN trials.saved_usd IS 'What an answer from the cache or a replay cost when it was made; not spent again.';
COMMENT ON COLUMN trials.origin_run_id IS 'Run that first got an answer which came from the cache.';
COMMENT ON COLUMN trials.origin_at IS 'When that run got it, UTC.';
COMMENT ON COLUMN trials.cost_usd IS 'Cost of the answer in US dollars when it was made; NULL is unknown, never free. What was spent is spent_usd.';
COMMENT ON COLUMN trials.legs IS 'Calls a route made on the way to its answer or its failure.';

UPDATE trials SET
    spent_usd = CASE WHEN provenance = 'live' THEN cost_usd WHEN provenance IS NOT NULL THEN 0 END,
    spent_tokens = CASE
        WHEN provenance = 'live' THEN input_tokens + output_tokens WHEN provenance IS NOT NULL THEN 0
    END,
    saved_usd = CASE WHEN provenance <> 'live' THEN cost_usd END;

ALTER TABLE runs ADD COLUMN unrecorded_usd DOUBLE DEFAULT 0;
ALTER TABLE runs ADD COLUMN unrecorded_tokens BIGINT DEFAULT 0;
COMMENT ON COLUMN runs.unrecorded_usd IS 'US dollars of calls that ended without a trial, such as those cut off when the run was interrupted; budgets count it.';
COMMENT ON COLUMN runs.unrecorded_tokens IS 'Tokens of such calls.';
