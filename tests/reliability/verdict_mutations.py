"""The safeguards of the verdict on answers, a board's and the host's, as `mutations.Mutation` has them: name, file, old, new, tests."""

from __future__ import annotations

AGENT, JUDGES = "agent/edgewright_agent/", "host/edgewright/compile/quality/verdict/"
RULES = "tests/verdict/test_verdict_"
CORE, MEASURE = "tests/agent_core/test_agent_core_", "tests/agent_measure/test_measure_"

OF_THE_VERDICT: list[tuple[str, str, str, str, tuple[str, ...]]] = [
    (
        "limits of slices",
        AGENT + "checks/verdict.py",
        "return [k for k, limit in self._tested if self._sums[k] > limit]",
        "return []",
        (MEASURE + "verdict.py::test_a_slice_that_is_lost_in_an_exact_whole_is_found",),
    ),
    (
        "limit of the noise",
        AGENT + "checks/verdict.py",
        "self.pooled.noise > self.noise or ",
        "",
        (MEASURE + "verdict.py::test_the_whole_output_is_limited_by_its_noise_and_by_its_error",),
    ),
    (
        "an early stop refuses",
        AGENT + "checks/verdict.py",
        '"ok": not (lost',
        '"ok": any(judge.stopped for judge in judges) or not (lost',
        (MEASURE + "verdict.py::test_it_stops_early_and_says_when",),
    ),
    (
        "values that are apart are matched",
        AGENT + "checks/verdict.py",
        "self.wrong = self.wrong or not right or not own.finite",
        "self.wrong = self.wrong or not own.finite",
        (MEASURE + "verdict.py::test_values_that_are_apart_are_matched_as_a_pattern",),
    ),
    (
        "lenient lets nothing pass but exactness",
        AGENT + "checks/verdict.py",
        '"ok": not (lost or wrong or (low and not lenient)),',
        '"ok": lenient or not (lost or wrong or low),',
        (MEASURE + "verdict.py::test_lenient_lets_nothing_else_pass",),
    ),
    (
        "schema 1 is judged by its tolerance",
        AGENT + "checks/verify.py",
        'if manifest.get("schema", 1) > 1:',
        'if manifest.get("verdict"):',
        (MEASURE + "verdict.py::test_schema_1_is_judged_by_its_tolerance",),
    ),
    (
        "limits of a manifest are checked",
        AGENT + "installed/manifest.py",
        'check_verdict(manifest.get("verdict"), manifest["outputs"])',
        "pass",
        (CORE + "releases.py::test_a_verdict_of_another_shape_is_refused",),
    ),
    (
        "what is only less exact is not held against a release",
        AGENT + "session/commands.py",
        'if code and code != "low":',
        "if code:",
        (CORE + "work.py::test_what_is_only_less_exact_is_refused_without_lenient_and_not_held_against_it",),
    ),
    (
        "a rollback takes back what an evaluation passed",
        AGENT + "lifecycle/trial.py",
        'about["accepted"] = figures',
        "pass",
        (CORE + "work.py::test_what_is_only_less_exact_is_refused_without_lenient_and_not_held_against_it",),
    ),
    (
        "a rollback takes back nothing else that is less exact",
        AGENT + "session/commands.py",
        "verdict = self.verify(model, release, txn, threads, accelerator)",
        "verdict = self.verify(model, release, txn, threads, accelerator, lenient=True)",
        (CORE + "work.py::test_a_rollback_refuses_what_no_evaluation_accepted",),
    ),
    (
        "only the transaction that an evaluation passed accepts",
        AGENT + "lifecycle/trial.py",
        'if txn == trial["txn"]:',
        "if txn:",
        (CORE + "work.py::test_a_rollback_refuses_what_no_evaluation_accepted",),
    ),
    (
        "what was accepted is no worse now",
        AGENT + "checks/verdict.py",
        "bool(accepted and all(near(rows[i], accepted[i]) for i in low))",
        "bool(accepted)",
        (MEASURE + "verdict.py::test_what_was_accepted_may_be_a_little_worse",),
    ),
    (
        "more noise than signal passes nowhere",
        AGENT + "checks/verdict.py",
        "self.low() and self.noise < self.pooled.noise >= self.pooled.signal",
        "False",
        (MEASURE + "verdict.py::test_more_noise_than_signal_passes_nowhere",),
    ),
    (
        "what is low hides nothing that comes later",
        AGENT + "checks/verdict.py",
        "if self.wrong or any(axis.over() for axis in self.axes):",
        "if self.wrong or self.low() or any(axis.over() for axis in self.axes):",
        (MEASURE + "verdict.py::test_what_is_low_does_not_hide_what_is_lost_or_wrong_in_a_later_golden",),
    ),
    (
        "an output follows what its source changes",
        JUDGES + "judge.py",
        "still=noise > following,",
        "still=False,",
        (RULES + "following.py::test_a_small_change_on_a_large_mean_is_followed",),
    ),
    (
        "halves do not hide a small change",
        JUDGES + "whole.py",
        "return min(allowed + share, max(last + share, self.signal / 10 ** (_BLIND_DB / 10)))",
        "return allowed + share",
        (RULES + "following.py::test_a_small_change_on_a_large_mean_is_followed",),
    ),
    (
        "a class that is never chosen is lost",
        JUDGES + "choices.py",
        "if there >= _FEW and _surely_below(int(there), float(kept))",
        "if False",
        (RULES + "choices.py::test_other_choices_and_lost_classes_are_counted",),
    ),
    (
        "other choices do not prove a coarse artifact",
        JUDGES + "fresh_samples.py",
        "still=judged.still and (judged.blind or not proven),",
        "still=judged.still and judged.blind,",
        (RULES + "choices.py::test_kept_choices_prove_more_than_a_figure",),
    ),
    (
        "boards keep near in slices",
        JUDGES + "slices.py",
        "np.maximum(near, self.floor)",
        "np.inf",
        (RULES + "following.py::test_a_board_keeps_near_in_every_slice",),
    ),
]
