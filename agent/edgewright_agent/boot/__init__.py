"""The guard, which ends an interrupted trial after a reboot: cron or systemd."""
