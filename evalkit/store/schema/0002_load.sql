-- Load tests: a run of kind load, whose trials know their step, and one row a step.

ALTER TABLE runs ADD COLUMN kind VARCHAR DEFAULT 'evaluation';
ALTER TABLE runs ALTER COLUMN kind SET NOT NULL;
COMMENT ON COLUMN runs.kind IS 'evaluation, or load: a load test, whose answers are not scored.';

ALTER TABLE trials ADD COLUMN step INTEGER;
COMMENT ON COLUMN trials.step IS 'Step of a load test, from 0; NULL outside of one and for its warm-up.';

CREATE TABLE load_steps (
    run_id VARCHAR NOT NULL,
    suite VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    step INTEGER NOT NULL,
    arrivals VARCHAR NOT NULL,
    offered_per_s DOUBLE,
    users BIGINT,
    begins_s DOUBLE NOT NULL,
    ends_s DOUBLE NOT NULL,
    sent BIGINT NOT NULL,
    answered BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    unfinished BIGINT NOT NULL,
    answered_per_s DOUBLE,
    tokens_per_s DOUBLE,
    latency_p50_s DOUBLE,
    latency_p95_s DOUBLE,
    latency_p99_s DOUBLE,
    ttft_p50_s DOUBLE,
    ttft_p95_s DOUBLE,
    ttft_p99_s DOUBLE,
    in_flight_mean DOUBLE NOT NULL,
    in_flight_max BIGINT NOT NULL,
    delay_p95_s DOUBLE,
    client_cpu DOUBLE NOT NULL,
    valid BOOLEAN NOT NULL,
    why_not VARCHAR,
    details JSON NOT NULL
);
COMMENT ON TABLE load_steps IS 'One row a step of a load test: the requests that were due within it.';
COMMENT ON COLUMN load_steps.run_id IS 'The run. Joins with trials USING (run_id, suite, target, step).';
COMMENT ON COLUMN load_steps.suite IS 'Suite the requests came from.';
COMMENT ON COLUMN load_steps.target IS 'Target.';
COMMENT ON COLUMN load_steps.step IS 'Which step, from 0.';
COMMENT ON COLUMN load_steps.arrivals IS 'open: requests come whatever the target does; closed: so many users wait for their answers.';
COMMENT ON COLUMN load_steps.offered_per_s IS 'Requests a second of an open step.';
COMMENT ON COLUMN load_steps.users IS 'Users of a closed step, at its end.';
COMMENT ON COLUMN load_steps.begins_s IS 'When the step began, seconds after the test did.';
COMMENT ON COLUMN load_steps.ends_s IS 'When its last request could be due.';
COMMENT ON COLUMN load_steps.sent IS 'Requests sent.';
COMMENT ON COLUMN load_steps.answered IS 'Requests answered.';
COMMENT ON COLUMN load_steps.failed IS 'Requests that ended in an error.';
COMMENT ON COLUMN load_steps.unfinished IS 'Requests given up because the test ended early.';
COMMENT ON COLUMN load_steps.answered_per_s IS 'Answers a second.';
COMMENT ON COLUMN load_steps.tokens_per_s IS 'Output tokens a second over all requests.';
COMMENT ON COLUMN load_steps.latency_p50_s IS 'Median latency of answers from the intended start, seconds; p95 and p99 beside it.';
COMMENT ON COLUMN load_steps.latency_p95_s IS '95th percentile of it.';
COMMENT ON COLUMN load_steps.latency_p99_s IS '99th percentile of it.';
COMMENT ON COLUMN load_steps.ttft_p50_s IS 'Median time to the first piece from the intended start, seconds.';
COMMENT ON COLUMN load_steps.ttft_p95_s IS '95th percentile of it.';
COMMENT ON COLUMN load_steps.ttft_p99_s IS '99th percentile of it.';
COMMENT ON COLUMN load_steps.in_flight_mean IS 'Requests under way, on average over the step.';
COMMENT ON COLUMN load_steps.in_flight_max IS 'Most requests under way at once.';
COMMENT ON COLUMN load_steps.delay_p95_s IS 'How late the client itself started requests, 95th percentile, seconds.';
COMMENT ON COLUMN load_steps.client_cpu IS 'Share of one core that the client''s event loop took.';
COMMENT ON COLUMN load_steps.valid IS 'Whether the figures are the target''s; false where the client was the bottleneck.';
COMMENT ON COLUMN load_steps.why_not IS 'Why they are not.';
COMMENT ON COLUMN load_steps.details IS 'Histograms, error classes and requests in flight over time.';

CREATE VIEW load_trials AS
SELECT
    t.run_id, t.suite, t.target, t.case_id, t.trial, t.step, t.status, t.error_class,
    t.started_at AS intended_at,
    t.started_at + to_microseconds((t.queue_s * 1e6)::BIGINT) AS sent_at,
    t.queue_s AS delay_s, t.total_s AS latency_s, t.total_s - t.latency_s + t.ttft_s AS ttft_s,
    t.latency_s AS attempt_s, t.itl_count, t.itl_mean_s, t.itl_p95_s, t.itl_max_s,
    t.input_tokens, t.output_tokens, t.cost_usd, t.provenance
FROM trials AS t
JOIN runs AS r USING (run_id)
WHERE r.kind = 'load' AND t.step IS NOT NULL;
COMMENT ON VIEW load_trials IS 'One row a request of a load test; latency_s and ttft_s count from intended_at, attempt_s from the first byte sent.';
COMMENT ON COLUMN load_trials.run_id IS 'The run. Joins with trials USING (run_id, suite, target, case_id, trial).';
COMMENT ON COLUMN load_trials.suite IS 'Suite the request came from.';
COMMENT ON COLUMN load_trials.target IS 'Target.';
COMMENT ON COLUMN load_trials.case_id IS 'Case that was asked; see cases.';
COMMENT ON COLUMN load_trials.trial IS 'How often the case had been asked before.';
COMMENT ON COLUMN load_trials.step IS 'Step; see load_steps.';
COMMENT ON COLUMN load_trials.status IS 'ok or error: whether the target answered.';
COMMENT ON COLUMN load_trials.error_class IS 'Why not; cancelled where the test ended first.';
COMMENT ON COLUMN load_trials.intended_at IS 'When the request was due, UTC.';
COMMENT ON COLUMN load_trials.sent_at IS 'When the client sent it, UTC.';
COMMENT ON COLUMN load_trials.delay_s IS 'How late that was: the client''s own part, seconds.';
COMMENT ON COLUMN load_trials.latency_s IS 'From when it was due to the end of the answer, seconds; also of failures.';
COMMENT ON COLUMN load_trials.ttft_s IS 'From when it was due to the first piece of a streamed answer, seconds.';
COMMENT ON COLUMN load_trials.attempt_s IS 'First byte sent to last received, seconds: what hides a queue.';
COMMENT ON COLUMN load_trials.itl_count IS 'Gaps between pieces of a streamed answer.';
COMMENT ON COLUMN load_trials.itl_mean_s IS 'Mean gap, seconds.';
COMMENT ON COLUMN load_trials.itl_p95_s IS '95th percentile gap, seconds.';
COMMENT ON COLUMN load_trials.itl_max_s IS 'Longest gap, seconds.';
COMMENT ON COLUMN load_trials.input_tokens IS 'Tokens sent; NULL is unknown.';
COMMENT ON COLUMN load_trials.output_tokens IS 'Tokens answered; NULL is unknown.';
COMMENT ON COLUMN load_trials.cost_usd IS 'Cost in US dollars; NULL is unknown.';
COMMENT ON COLUMN load_trials.provenance IS 'live, cache or replay; only live answers tell about latency.';
