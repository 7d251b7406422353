"""The user's TOML files, read strictly and written under a lock, and the state folder."""
