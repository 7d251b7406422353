"""Resolves an SSH host as `ssh` does: by `ssh -G`, or by its own reading if there is no OpenSSH client."""
