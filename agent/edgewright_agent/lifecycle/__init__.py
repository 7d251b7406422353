"""The lifecycle of releases: trial, watchdog, recovery, status."""
