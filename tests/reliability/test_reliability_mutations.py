"""With a safeguard switched off, the tests fail. That they pass with it is what the rest of the suite shows."""

import mutations
import pytest


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the sources to change."""
    folder = tmp_path_factory.mktemp("mutated")
    mutations.copy(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda one: one.name.replace(" ", "-"))
def test_a_safeguards_loss_is_noticed(tree, survived, mutation):
    found, last = mutations.noticed(mutation, tree)
    assert found, f"no test failed: {last}"
    survived("Safeguards switched off: " + mutation.name)
