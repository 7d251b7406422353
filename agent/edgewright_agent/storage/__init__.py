"""The root folder: files, state, locks, uploads, results."""
