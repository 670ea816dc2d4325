"""``metaqore attack``: scenarios against a running engine, over HTTP, with what was stopped and what was not."""
