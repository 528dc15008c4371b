-- The hosted tools that a key's requests get without asking, as `web_search,image_generation`; empty for none, NULL leaves it to the
-- settings.
ALTER TABLE api_key ADD COLUMN
    tools TEXT;
