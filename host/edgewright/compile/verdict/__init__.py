"""The verdict: whether an artifact answers as its source does, output by output and slice by slice.

`judge` has the rule for one output, `fresh` asks again on other samples before a slice counts as lost, `refusal` and `words` say what came out.
"""
