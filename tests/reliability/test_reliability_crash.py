"""Properties 1 to 4 and 6 of the board: whatever change of the disk is the last one, and whatever a power cut takes with
it, `current` is old or new and whole, what was reported to the host holds, and a following deploy works."""

import pytest
from crashing.operations import BY_NAME

SAMPLE = [  # what a quick run looks at: every so many disks of an operation
    ("power", "install", 4),
    ("power", "commit", 3),
    ("power", "revert", 4),
    ("power", "rollback", 4),
    ("power", "recovery", 5),
    ("power", "provision", 4),
    ("power", "discard", 2),
    ("power", "runner", 4),
    ("power", "prune", 30),
    ("power", "purge", 40),
    ("power", "reset", 6),
    ("power", "first_activation", 100),
    ("load", "commit", 7),
    ("load", "rollback", 9),
    ("kill", "install", 4),
    ("kill", "commit", 2),
    ("kill", "failed", 3),
    ("kill", "put", 1),
]
MORE = [  # the operations that are left, for CI
    ("power", "activate", 8),
    ("power", "failed", 8),
    ("power", "first_start", 8),
    ("power", "prepared", 8),
    ("power", "put", 2),
    ("power", "resume", 3),
    ("kill", "activate", 4),
    ("kill", "first_activation", 10),
    ("kill", "prepared", 5),
    ("kill", "provision", 6),
    ("kill", "prune", 10),
    ("kill", "recovery", 3),
    ("kill", "revert", 3),
    ("kill", "runner", 2),
    ("load", "activate", 7),
]
GROUPS = {"power": "Power cuts", "kill": "Process killed", "load": "Power cuts, and the model run afterwards"}
WORDS = {name: "`%s`" % name.replace("_", " ") for name in BY_NAME}


def note(survived, mode, operation, kinds):
    """One row of the table for the operation, one for its recoveries."""
    for kind, count in kinds.items():
        where = WORDS[operation] + kind.removeprefix("power cut").removeprefix("process killed").removeprefix(
            "model run"
        )
        survived(GROUPS[mode] + ": " + where, count)


@pytest.mark.parametrize(
    ("mode", "operation", "share"), [*SAMPLE, *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE)]
)
def test_a_sample_of_crashes(drive, survived, mode, operation, share):
    kinds = drive("cuts.py", mode, operation, share)
    assert sum(kinds.values()) >= 2
    note(survived, mode, operation, kinds)


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("operation", sorted(BY_NAME))
@pytest.mark.parametrize("mode", ["kill", "load", "power"])
def test_every_crash(drive, survived, mode, operation):
    kinds = drive("cuts.py", mode, operation, 5 if mode == "load" else 1)
    assert sum(kinds.values()) >= 2
    note(survived, mode, operation, kinds)
