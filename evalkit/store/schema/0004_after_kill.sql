-- A call that was under way when its run was killed is made again by the resumed run.

ALTER TABLE trials ADD COLUMN after_kill BOOLEAN DEFAULT false;
COMMENT ON COLUMN trials.after_kill IS 'The call was under way when an earlier start of the run was killed and was made again: it may have been paid twice, and assumed_usd counts the first.';
