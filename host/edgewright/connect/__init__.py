"""Sessions with boards: transports, trust, the wire, and runtimes to provision."""
