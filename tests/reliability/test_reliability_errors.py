"""Properties 1, 3 and 5 of the board: a disk that is full, or fails, at any change of any operation."""

import pytest
from crashing.operations import BY_NAME
from errors import KINDS

SAMPLE = [
    ("fsync", "commit", 1),
    ("eio", "rollback", 3),
    ("full", "revert", 4),
    ("full", "install", 6),
    ("full", "prepared", 5),
    ("full", "runner", 2),
    ("no_inodes", "provision", 4),
    ("dead", "recovery", 6),
    ("no_space", "put", 1),
    ("quota", "install", 12),
    ("fsyncs", "activate", 6),
]
NOTHING_TO_REFUSE = {("no_inodes", "resume")}  # it makes no file


def note(survived, kinds):
    for kind, count in kinds.items():
        survived("Disk errors: " + kind, count)


@pytest.mark.parametrize(("kind", "operation", "share"), SAMPLE)
def test_a_sample_of_disk_errors(drive, survived, kind, operation, share):
    kinds = drive("errors.py", kind, operation, share)
    assert sum(kinds.values()) >= 2
    note(survived, kinds)


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_disk_error(drive, survived, kind):
    for operation in sorted(BY_NAME):
        kinds = drive("errors.py", kind, operation)
        assert sum(kinds.values()) >= 1 or (kind, operation) in NOTHING_TO_REFUSE
        note(survived, kinds)
