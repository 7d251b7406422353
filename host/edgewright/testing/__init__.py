"""Checks for targets, both edgewright's own and plug-ins: see docs/add-a-target.md."""
