"""SSH through paramiko: configuration, authentication, host keys, channels."""
