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
@pytest.mark.sampled(9)
@pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda one: one.name.replace(" ", "-"))
def test_a_safeguards_loss_is_noticed(tree, survived, mutation):
    found, last = mutations.noticed(mutation, tree)
    assert found, f"no test failed: {last}"
    survived("Safeguards switched off: " + mutation.name)


def test_what_would_be_switched_off_is_there():
    """Else a safeguard that was rewritten would be missed only by the slow tests."""
    texts = {
        one.name: (mutations.REPOSITORY / one.file).read_text().count(one.old) for one in mutations.MUTATIONS
    }
    assert [name for name, count in texts.items() if count != 1] == []
