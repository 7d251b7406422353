"""SSH by paramiko: configuration, authentication, host keys, channels."""
