"""What a target has to prove, for edgewright's own and for plug-ins: see docs/add-a-target.md."""
