-- What an account's owner set: requests at a time (NULL leaves it to the settings, 0 is no limit) and its priority.
ALTER TABLE account ADD COLUMN
    max_concurrent BIGINT;
ALTER TABLE account ADD COLUMN
    priority BIGINT NOT NULL DEFAULT 0;
