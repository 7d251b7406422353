"""The root folder: files, state, locks, what comes in and goes out."""
