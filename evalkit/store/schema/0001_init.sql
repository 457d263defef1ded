-- The first schema: flat, typed, one row a fact. Times are seconds, money is US dollars, instants are
-- TIMESTAMPTZ in UTC; NULL means unknown or not applicable, never zero.
-- No primary keys: every write happens under one lock, and indexes would slow each of them down.

CREATE TABLE runs (
    run_id VARCHAR NOT NULL,
    project VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    planned BIGINT NOT NULL,
    suites VARCHAR[] NOT NULL,
    suite_hashes MAP(VARCHAR, VARCHAR) NOT NULL,
    slices VARCHAR[] NOT NULL,
    seed BIGINT NOT NULL,
    settings JSON NOT NULL,
    evalkit_version VARCHAR NOT NULL,
    git_commit VARCHAR,
    git_branch VARCHAR,
    git_dirty BOOLEAN,
    user_name VARCHAR
);
COMMENT ON TABLE runs IS 'One row a run: one execution of suites on targets.';
COMMENT ON COLUMN runs.run_id IS 'Name of the run, unique in the store.';
COMMENT ON COLUMN runs.project IS 'Name of the project in evalkit.yaml.';
COMMENT ON COLUMN runs.status IS 'running, complete, interrupted, stopped or failed.';
COMMENT ON COLUMN runs.started_at IS 'When the run began, UTC.';
COMMENT ON COLUMN runs.finished_at IS 'When it ended, UTC; NULL while it runs.';
COMMENT ON COLUMN runs.planned IS 'How many trials the run set out to do.';
COMMENT ON COLUMN runs.suites IS 'Names of the suites it ran.';
COMMENT ON COLUMN runs.suite_hashes IS 'Suite name to the hash of what the suite said.';
COMMENT ON COLUMN runs.slices IS 'Tags by which the summary is cut.';
COMMENT ON COLUMN runs.seed IS 'Seed from which every trial derives its own.';
COMMENT ON COLUMN runs.settings IS 'Flags that selected and repeated cases.';
COMMENT ON COLUMN runs.evalkit_version IS 'Version of evalkit that made the run.';
COMMENT ON COLUMN runs.git_commit IS 'Commit the files were at.';
COMMENT ON COLUMN runs.git_branch IS 'Branch that was checked out.';
COMMENT ON COLUMN runs.git_dirty IS 'Whether files differed from the commit.';
COMMENT ON COLUMN runs.user_name IS 'Who started the run.';

CREATE TABLE targets (
    run_id VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    target VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    content_hash VARCHAR NOT NULL,
    options JSON NOT NULL,
    model VARCHAR,
    prompt_version VARCHAR,
    price JSON
);
COMMENT ON TABLE targets IS 'One row a target of a run: the system under test as it was configured.';
COMMENT ON COLUMN targets.run_id IS 'The run.';
COMMENT ON COLUMN targets.position IS 'Order in the run, from 0.';
COMMENT ON COLUMN targets.target IS 'Name of the target.';
COMMENT ON COLUMN targets.kind IS 'Kind of target, such as openai_compatible.';
COMMENT ON COLUMN targets.content_hash IS 'Hash of kind, options and prompt version.';
COMMENT ON COLUMN targets.options IS 'Options as written; ${env:NAME} is never resolved here.';
COMMENT ON COLUMN targets.model IS 'Model that was asked for.';
COMMENT ON COLUMN targets.prompt_version IS 'Version of the prompt; see prompts.';
COMMENT ON COLUMN targets.price IS 'Price row the run was costed with; NULL is unknown.';

CREATE TABLE prompts (
    run_id VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    version VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    label VARCHAR,
    owner VARCHAR,
    description VARCHAR,
    text VARCHAR NOT NULL
);
COMMENT ON TABLE prompts IS 'One row a prompt of a run, with the text it used.';
COMMENT ON COLUMN prompts.run_id IS 'The run.';
COMMENT ON COLUMN prompts.position IS 'Order in the run, from 0.';
COMMENT ON COLUMN prompts.version IS 'Hash of the prompt''s content.';
COMMENT ON COLUMN prompts.path IS 'File of the prompt in the project.';
COMMENT ON COLUMN prompts.label IS 'Label from its front matter.';
COMMENT ON COLUMN prompts.owner IS 'Owner from its front matter.';
COMMENT ON COLUMN prompts.description IS 'Description from its front matter.';
COMMENT ON COLUMN prompts.text IS 'The template itself.';

CREATE TABLE datasets (
    run_id VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    suite VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    version VARCHAR NOT NULL,
    format VARCHAR NOT NULL,
    cases BIGINT NOT NULL,
    selected BIGINT NOT NULL
);
COMMENT ON TABLE datasets IS 'One row a dataset of a suite of a run.';
COMMENT ON COLUMN datasets.run_id IS 'The run.';
COMMENT ON COLUMN datasets.position IS 'Order in the run, from 0.';
COMMENT ON COLUMN datasets.suite IS 'Suite that used it.';
COMMENT ON COLUMN datasets.source IS 'File or hub name.';
COMMENT ON COLUMN datasets.version IS 'Hash of its cases in any order.';
COMMENT ON COLUMN datasets.format IS 'Reader that read it.';
COMMENT ON COLUMN datasets.cases IS 'Cases it holds.';
COMMENT ON COLUMN datasets.selected IS 'Cases the run took.';

CREATE TABLE scorers (
    run_id VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    suite VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    scorer VARCHAR NOT NULL,
    signature VARCHAR NOT NULL,
    direction VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    metrics VARCHAR[] NOT NULL
);
COMMENT ON TABLE scorers IS 'One row a scorer of a suite of a run.';
COMMENT ON COLUMN scorers.run_id IS 'The run.';
COMMENT ON COLUMN scorers.position IS 'Order in the run, from 0.';
COMMENT ON COLUMN scorers.suite IS 'Suite that used it.';
COMMENT ON COLUMN scorers.name IS 'What the suite calls it; scores.name is the same.';
COMMENT ON COLUMN scorers.scorer IS 'What it is.';
COMMENT ON COLUMN scorers.signature IS 'Parameters, library and version that make its scores.';
COMMENT ON COLUMN scorers.direction IS 'higher or lower is better, or neutral.';
COMMENT ON COLUMN scorers.unit IS 'Unit of its values; empty for a share of one.';
COMMENT ON COLUMN scorers.metrics IS 'Aggregates it declares, such as mean or p95.';

CREATE TABLE cases (
    case_id VARCHAR NOT NULL,
    input_id VARCHAR NOT NULL,
    name VARCHAR,
    inputs JSON NOT NULL,
    expected JSON,
    context VARCHAR[] NOT NULL,
    tags MAP(VARCHAR, VARCHAR) NOT NULL,
    metadata JSON NOT NULL
);
COMMENT ON TABLE cases IS 'One row a case ever run: what is asked and what is expected.';
COMMENT ON COLUMN cases.case_id IS 'Hash of inputs, context and expected.';
COMMENT ON COLUMN cases.input_id IS 'Hash of inputs and context alone; equal where only the expectation changed.';
COMMENT ON COLUMN cases.name IS 'Name its author gave it, as of the last run.';
COMMENT ON COLUMN cases.inputs IS 'Variables a prompt may use.';
COMMENT ON COLUMN cases.expected IS 'The right answer, a list of right answers, or any JSON value.';
COMMENT ON COLUMN cases.context IS 'Passages the answer must rest on.';
COMMENT ON COLUMN cases.tags IS 'Tags as of the last run; trials.tags has those of each run.';
COMMENT ON COLUMN cases.metadata IS 'Whatever else its author noted, as of the last run.';

CREATE TABLE trials (
    run_id VARCHAR NOT NULL,
    suite VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    case_id VARCHAR NOT NULL,
    trial INTEGER NOT NULL,
    case_name VARCHAR,
    case_row BIGINT NOT NULL,
    tags MAP(VARCHAR, VARCHAR) NOT NULL,
    status VARCHAR NOT NULL,
    error_class VARCHAR,
    error VARCHAR,
    http_status INTEGER,
    started_at TIMESTAMPTZ NOT NULL,
    latency_s DOUBLE,
    ttft_s DOUBLE,
    queue_s DOUBLE,
    total_s DOUBLE,
    itl_count BIGINT,
    itl_mean_s DOUBLE,
    itl_p95_s DOUBLE,
    itl_max_s DOUBLE,
    attempts INTEGER NOT NULL,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cached_tokens BIGINT,
    cache_write_tokens BIGINT,
    reasoning_tokens BIGINT,
    cost_usd DOUBLE,
    provenance VARCHAR,
    model VARCHAR,
    finish_reason VARCHAR,
    output VARCHAR,
    output_context VARCHAR[],
    tool_calls STRUCT(name VARCHAR, arguments VARCHAR, id VARCHAR)[],
    legs STRUCT(
        target VARCHAR, model VARCHAR, error_class VARCHAR, latency_s DOUBLE, cost_usd DOUBLE,
        input_tokens BIGINT, output_tokens BIGINT, cached_tokens BIGINT, cache_write_tokens BIGINT,
        reasoning_tokens BIGINT
    )[],
    extra JSON,
    messages JSON NOT NULL,
    seed BIGINT,
    request_hash VARCHAR NOT NULL
);
COMMENT ON TABLE trials IS 'One row a trial: one execution of one case on one target.';
COMMENT ON COLUMN trials.run_id IS 'The run. Joins with scores USING (run_id, suite, target, case_id, trial).';
COMMENT ON COLUMN trials.suite IS 'Suite.';
COMMENT ON COLUMN trials.target IS 'Target.';
COMMENT ON COLUMN trials.case_id IS 'Case; see cases.';
COMMENT ON COLUMN trials.trial IS 'Which repetition of the case, from 0.';
COMMENT ON COLUMN trials.case_name IS 'Name of the case in this run.';
COMMENT ON COLUMN trials.case_row IS 'Row of the dataset it stood in; 0 is unknown.';
COMMENT ON COLUMN trials.tags IS 'Tags of the case in this run, as tags[''lang''].';
COMMENT ON COLUMN trials.status IS 'ok or error: whether the target answered.';
COMMENT ON COLUMN trials.error_class IS 'timeout, rate_limit, quota, refused, auth, not_found, bad_request, server, connection, invalid_response, prompt, crash or cancelled.';
COMMENT ON COLUMN trials.error IS 'What went wrong, in words.';
COMMENT ON COLUMN trials.http_status IS 'Status of the last response, if one came.';
COMMENT ON COLUMN trials.started_at IS 'When the trial was first queued, UTC.';
COMMENT ON COLUMN trials.latency_s IS 'The answering attempt, first byte sent to last received; seconds, without waits and retries.';
COMMENT ON COLUMN trials.ttft_s IS 'Time to the first piece of a streamed answer, seconds.';
COMMENT ON COLUMN trials.queue_s IS 'Wait for a slot or a rate limit before the last attempt, seconds.';
COMMENT ON COLUMN trials.total_s IS 'First queueing to the end with retries and waits, seconds.';
COMMENT ON COLUMN trials.itl_count IS 'Gaps between pieces of a streamed answer.';
COMMENT ON COLUMN trials.itl_mean_s IS 'Mean gap, seconds.';
COMMENT ON COLUMN trials.itl_p95_s IS '95th percentile gap, seconds.';
COMMENT ON COLUMN trials.itl_max_s IS 'Longest gap, seconds.';
COMMENT ON COLUMN trials.attempts IS 'Calls made, the last included.';
COMMENT ON COLUMN trials.input_tokens IS 'Tokens sent, cached ones included; NULL is unknown.';
COMMENT ON COLUMN trials.output_tokens IS 'Tokens answered, reasoning included; NULL is unknown.';
COMMENT ON COLUMN trials.cached_tokens IS 'Part of input_tokens read from the provider''s cache.';
COMMENT ON COLUMN trials.cache_write_tokens IS 'Part of input_tokens written to the provider''s cache.';
COMMENT ON COLUMN trials.reasoning_tokens IS 'Part of output_tokens that was not shown.';
COMMENT ON COLUMN trials.cost_usd IS 'Cost of the answer in US dollars; NULL is unknown, never free.';
COMMENT ON COLUMN trials.provenance IS 'live, cache or replay; only live answers tell about latency.';
COMMENT ON COLUMN trials.model IS 'Model name the provider reported.';
COMMENT ON COLUMN trials.finish_reason IS 'Why the answer ended.';
COMMENT ON COLUMN trials.output IS 'Text of the answer.';
COMMENT ON COLUMN trials.output_context IS 'Passages the target itself retrieved.';
COMMENT ON COLUMN trials.tool_calls IS 'Functions the model asked to call.';
COMMENT ON COLUMN trials.legs IS 'Calls a route made on the way to its answer.';
COMMENT ON COLUMN trials.extra IS 'Anything else the target reported.';
COMMENT ON COLUMN trials.messages IS 'Messages as they were sent.';
COMMENT ON COLUMN trials.seed IS 'Seed of this trial.';
COMMENT ON COLUMN trials.request_hash IS 'Hash of the whole request.';

CREATE TABLE scores (
    run_id VARCHAR NOT NULL,
    suite VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    case_id VARCHAR NOT NULL,
    trial INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    value DOUBLE,
    passed BOOLEAN,
    label VARCHAR,
    reason VARCHAR,
    signature VARCHAR NOT NULL,
    evidence STRUCT(
        source VARCHAR, "start" BIGINT, "end" BIGINT, "text" VARCHAR, reason VARCHAR, value DOUBLE
    )[],
    stats DOUBLE[],
    cost_usd DOUBLE,
    elapsed_s DOUBLE
);
COMMENT ON TABLE scores IS 'One row a score: one scorer on one trial.';
COMMENT ON COLUMN scores.run_id IS 'The run.';
COMMENT ON COLUMN scores.suite IS 'Suite.';
COMMENT ON COLUMN scores.target IS 'Target.';
COMMENT ON COLUMN scores.case_id IS 'Case.';
COMMENT ON COLUMN scores.trial IS 'Which repetition of the case, from 0.';
COMMENT ON COLUMN scores.position IS 'Order of the scorers on the trial, from 0.';
COMMENT ON COLUMN scores.name IS 'What the suite calls the scorer.';
COMMENT ON COLUMN scores.status IS 'scored, unscored or error; only scored has a value.';
COMMENT ON COLUMN scores.value IS 'The score; NULL when there is none.';
COMMENT ON COLUMN scores.passed IS 'The decision of scorers that decide.';
COMMENT ON COLUMN scores.label IS 'A word for the score, where the scorer gives one.';
COMMENT ON COLUMN scores.reason IS 'Why: the scorer''s words, or why there is no score.';
COMMENT ON COLUMN scores.signature IS 'What made it: scorer, parameters, library, version.';
COMMENT ON COLUMN scores.evidence IS 'Pieces of text the score rests on; start and end count characters.';
COMMENT ON COLUMN scores.stats IS 'Sufficient statistics of corpus metrics.';
COMMENT ON COLUMN scores.cost_usd IS 'What scoring itself cost, in US dollars.';
COMMENT ON COLUMN scores.elapsed_s IS 'Time the scorer took, seconds.';

CREATE TABLE gates (
    run_id VARCHAR NOT NULL,
    baseline_run_id VARCHAR,
    position INTEGER NOT NULL,
    suite VARCHAR NOT NULL,
    target VARCHAR,
    gate VARCHAR NOT NULL,
    metric VARCHAR,
    mode VARCHAR NOT NULL,
    verdict VARCHAR NOT NULL,
    value DOUBLE,
    low DOUBLE,
    high DOUBLE,
    threshold DOUBLE,
    n BIGINT,
    reason VARCHAR,
    decided_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE gates IS 'One row a gate that was decided on a run.';
COMMENT ON COLUMN gates.run_id IS 'The candidate.';
COMMENT ON COLUMN gates.baseline_run_id IS 'What it was compared with, if anything.';
COMMENT ON COLUMN gates.position IS 'Order in the suite, from 0.';
COMMENT ON COLUMN gates.suite IS 'Suite.';
COMMENT ON COLUMN gates.target IS 'Target, where the gate is about one.';
COMMENT ON COLUMN gates.gate IS 'The rule as written.';
COMMENT ON COLUMN gates.metric IS 'Metric the rule is about.';
COMMENT ON COLUMN gates.mode IS 'prove, guard or advisory.';
COMMENT ON COLUMN gates.verdict IS 'PASS, FAIL, INCONCLUSIVE or ERROR.';
COMMENT ON COLUMN gates.value IS 'What was measured: a level, or a change against the baseline.';
COMMENT ON COLUMN gates.low IS 'Lower end of its interval.';
COMMENT ON COLUMN gates.high IS 'Upper end of its interval.';
COMMENT ON COLUMN gates.threshold IS 'The limit the rule sets.';
COMMENT ON COLUMN gates.n IS 'Cases it rests on.';
COMMENT ON COLUMN gates.reason IS 'The verdict in words.';
COMMENT ON COLUMN gates.decided_at IS 'When, UTC.';

CREATE TABLE labels (
    case_id VARCHAR NOT NULL,
    run_id VARCHAR,
    suite VARCHAR,
    target VARCHAR,
    trial INTEGER,
    name VARCHAR NOT NULL,
    value DOUBLE,
    passed BOOLEAN,
    label VARCHAR,
    reason VARCHAR,
    author VARCHAR NOT NULL,
    labelled_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE labels IS 'One row a judgement by a person, against which scorers are calibrated.';
COMMENT ON COLUMN labels.case_id IS 'Case.';
COMMENT ON COLUMN labels.run_id IS 'Run whose answer was judged; NULL when the case itself was.';
COMMENT ON COLUMN labels.suite IS 'Suite of that answer.';
COMMENT ON COLUMN labels.target IS 'Target of that answer.';
COMMENT ON COLUMN labels.trial IS 'Trial of that answer.';
COMMENT ON COLUMN labels.name IS 'What was judged; a scorer''s name makes them comparable.';
COMMENT ON COLUMN labels.value IS 'The judgement as a number.';
COMMENT ON COLUMN labels.passed IS 'The judgement as a decision.';
COMMENT ON COLUMN labels.label IS 'The judgement as a word.';
COMMENT ON COLUMN labels.reason IS 'Why.';
COMMENT ON COLUMN labels.author IS 'Who judged.';
COMMENT ON COLUMN labels.labelled_at IS 'When, UTC.';

CREATE TABLE events (
    happened_at TIMESTAMPTZ NOT NULL,
    kind VARCHAR NOT NULL,
    actor VARCHAR,
    run_id VARCHAR,
    git_commit VARCHAR,
    evalkit_version VARCHAR NOT NULL,
    details JSON NOT NULL
);
COMMENT ON TABLE events IS 'The audit trail: rows are only ever added.';
COMMENT ON COLUMN events.happened_at IS 'When, UTC.';
COMMENT ON COLUMN events.kind IS 'What happened, such as run.started, run.resumed, run.finished, run.recovered.';
COMMENT ON COLUMN events.actor IS 'Who did it.';
COMMENT ON COLUMN events.run_id IS 'Run it is about.';
COMMENT ON COLUMN events.git_commit IS 'Commit the files were at.';
COMMENT ON COLUMN events.evalkit_version IS 'Version of evalkit that recorded it.';
COMMENT ON COLUMN events.details IS 'What else is known.';

CREATE TABLE journal_segments (
    segment VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    trials BIGINT NOT NULL,
    dropped BIGINT NOT NULL,
    ingested_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE journal_segments IS 'Journal segments whose trials are in the store; keeps each from being taken in twice.';
COMMENT ON COLUMN journal_segments.segment IS 'Name of the segment.';
COMMENT ON COLUMN journal_segments.run_id IS 'Run it belongs to.';
COMMENT ON COLUMN journal_segments.trials IS 'Trials read from it.';
COMMENT ON COLUMN journal_segments.dropped IS 'Lines that were torn when a process or a machine died.';
COMMENT ON COLUMN journal_segments.ingested_at IS 'When, UTC.';

CREATE VIEW results AS
SELECT
    s.run_id, s.suite, s.target, s.case_id, s.trial, t.case_name, t.tags, s.name AS scorer,
    s.status, s.value, s.passed, s.label, s.reason, t.output, t.model, t.latency_s, t.ttft_s,
    t.input_tokens, t.output_tokens, t.cost_usd, t.provenance, s.signature
FROM scores AS s
JOIN trials AS t USING (run_id, suite, target, case_id, trial);
COMMENT ON VIEW results IS 'One row a score beside what its trial answered, took and cost.';
