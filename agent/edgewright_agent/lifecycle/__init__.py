"""A release's life: trial, watchdog, recovery, status."""
