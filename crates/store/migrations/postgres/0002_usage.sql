CREATE TABLE usage_row (
    id TEXT PRIMARY KEY NOT NULL,
    accepted BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    account_id TEXT,
    dialect TEXT NOT NULL,
    model TEXT NOT NULL,
    status BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    input BIGINT NOT NULL,
    cached BIGINT NOT NULL,
    output BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    ttft BIGINT,
    duration BIGINT NOT NULL,
    stream BIGINT NOT NULL,
    notes TEXT NOT NULL
);

CREATE INDEX usage_row_accepted ON usage_row (accepted);
