-- The models that judges reported to be: a judge that changed is no change of the product.

ALTER TABLE scores ADD COLUMN models VARCHAR[];
COMMENT ON COLUMN scores.models IS 'Names that the judges asked for the score reported; empty when none was asked.';
COMMENT ON COLUMN scores.cost_usd IS 'What scoring itself spent, in US dollars, whether or not it came to a score; 0 for a kept verdict.';
