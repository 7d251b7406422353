"""What ends a cut-short trial after a reboot: cron or systemd."""
