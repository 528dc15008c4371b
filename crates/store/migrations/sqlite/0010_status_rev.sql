-- Grows with every write of an account's status, so that what was learned of an older one is not written over a newer one.
ALTER TABLE account ADD COLUMN
    status_rev BIGINT NOT NULL DEFAULT 1;
