"""A plan survives its document unchanged, and any other document is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import BOARD, MODEL, ORDER, PLAN

from edgewright.errors import EdgewrightError
from edgewright.nouns.deploy_plan import canonical, digest, plan_from
from edgewright.nouns.model_input import Absent, DataFile, Synthetic
from edgewright.nouns.policy import ReleasePolicy
from edgewright.nouns.project import Budget


def test_a_plan_comes_back_as_it_was() -> None:
    document = canonical(PLAN)
    again = plan_from(document, digest(document))
    assert again == PLAN and canonical(again) == document
    assert hash(again) == hash(PLAN) and again.id == PLAN.id == digest(document)[:12]
    assert again.boards[1].release == "3-abababab"
    with pytest.raises(AttributeError):
        again.version = "4"  # type: ignore[misc]
    other = msgspec.structs.replace(PLAN, nonce="m")
    assert other.id != PLAN.id and hash(other) != hash(PLAN)


@given(
    st.sampled_from([Absent(), Synthetic(), DataFile(path=Path("c"), sha256="d" * 64)]),
    st.one_of(st.none(), st.just(""), st.text(min_size=1, max_size=9)),
    st.dictionaries(st.text(max_size=5), st.lists(st.integers(1, 2**31), max_size=3).map(tuple), max_size=3),
    st.floats(0.1, 1e9),
)
def test_any_plan_comes_back_as_it_was(calibration, expected, shapes, limit) -> None:  # type: ignore[no-untyped-def]
    policy = ReleasePolicy(budget=Budget(p50_ms=limit))
    board = msgspec.structs.replace(
        BOARD, expected_current=expected, order=msgspec.structs.replace(ORDER, policy=policy)
    )
    model = msgspec.structs.replace(MODEL, calibration=calibration, shapes=shapes)
    plan = msgspec.structs.replace(PLAN, model=model, boards=(board,))
    document = canonical(plan)
    assert plan_from(document, digest(document)) == plan


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ((b'"version":"3"', b'"version":"4"'), "plan-changed"),
        ((b'"unguarded":true', b'"unguarded":false'), "plan-changed"),
        ((b'"schema":1', b'"schema":2'), "newer-schema"),
        ((b'"schema":1', b'"schema":"one"'), "error"),
        ((b"{", b"{ "), "plan-changed"),
        ((b"{", b""), "plan-changed"),
    ],
)
def test_a_plan_that_was_edited_or_is_of_another_version_is_refused(
    change: tuple[bytes, bytes], code: str
) -> None:
    document = canonical(PLAN)
    assert change[0] in document
    with pytest.raises(EdgewrightError) as error:
        plan_from(document.replace(*change, 1), digest(document))
    assert error.value.code == code and error.value.hint and "\n" not in error.value.message


@pytest.mark.parametrize("change", [(b'"nonce":"n"', b'"nonce":"n","more":1'), (b'"host":"here",', b""), (b'"boards":[', b'"boards":[1,')])  # fmt: skip
def test_a_plan_of_another_shape_is_refused_even_where_its_hash_fits(change: tuple[bytes, bytes]) -> None:
    document = canonical(PLAN).replace(*change, 1)
    with pytest.raises(EdgewrightError, match="the plan is not valid"):
        plan_from(document, digest(document))


def test_paths_that_are_not_utf_8_come_back() -> None:
    name = "caf\udce9\\u0000\0ff.onnx"
    compare = msgspec.structs.replace(MODEL.compare, function=f"/{name}:same")
    plan = msgspec.structs.replace(
        PLAN, model=msgspec.structs.replace(MODEL, source=Path(name), compare=compare)
    )
    document = canonical(plan)
    assert plan_from(document, digest(document)) == plan


def test_the_id_of_a_plan_without_a_metric_of_the_users_own_is_that_of_earlier_versions() -> None:
    assert PLAN.id == "9a6b09c3c361"
    with_metric = msgspec.structs.replace(PLAN, metric_sha256="f" * 64)
    assert with_metric.id != PLAN.id
    document = canonical(with_metric)
    assert plan_from(document, digest(document)) == with_metric


def test_the_id_of_a_plan_for_a_model_that_is_not_trusted_is_that_of_earlier_versions() -> None:
    assert b"trusted" not in canonical(PLAN)
    trusted = msgspec.structs.replace(PLAN, model=msgspec.structs.replace(MODEL, trusted=True))
    assert trusted.id != PLAN.id
    document = canonical(trusted)
    assert plan_from(document, digest(document)) == trusted
