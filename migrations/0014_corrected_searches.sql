-- A search that corrects another one looks at what that one found again: whoever says "só com site" means the same
-- companies. What a person has decided about stays as it is.

ALTER TABLE prospect_candidates
    ADD COLUMN released boolean NOT NULL DEFAULT false;  -- its search was corrected: another one may take it over
