"""Reaching boards: transports, trust, the session with the agent, provisioning runtimes."""
