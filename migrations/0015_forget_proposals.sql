-- What was only proposed about somebody who is erased goes too; what was decided and done stays as it is.
GRANT DELETE ON proposals TO mutirao_app;
CREATE POLICY only_what_did_nothing ON proposals AS RESTRICTIVE FOR DELETE
    USING (state IN ('pending', 'rejected', 'expired'));
