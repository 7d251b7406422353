"""A session with a host: greeting, commands, their arguments and log."""
