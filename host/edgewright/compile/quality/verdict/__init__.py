"""The verdict: whether an artifact answers as its source does, output by output and slice by slice."""
