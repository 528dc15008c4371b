-- The row's id is the gateway's own from here on; what a client calls its request may repeat.
ALTER TABLE usage_row ADD COLUMN
    request_id TEXT NOT NULL DEFAULT '';
UPDATE usage_row SET request_id = id;
