"""The verdict: whether an artifact gives the same outputs as its source, judged by output and by slice."""
