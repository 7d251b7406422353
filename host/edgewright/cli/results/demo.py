"""Results of `demo` and `lab`."""

from __future__ import annotations

from edgewright.lab.boards import LabBoard
from edgewright.lab.demo import DemoReport
from edgewright.nouns.base import Noun

__all__ = ["DemoReport", "LabDownResult", "LabListResult", "LabUpResult"]


class LabUpResult(Noun, frozen=True, kw_only=True):
    """`edgewright lab up`: the boards that were started."""

    boards: tuple[LabBoard, ...]


class LabListResult(Noun, frozen=True, kw_only=True):
    """`edgewright lab list`: the boards of all labs."""

    boards: tuple[LabBoard, ...]


class LabDownResult(Noun, frozen=True, kw_only=True):
    """`edgewright lab down`: names of the boards that were removed."""

    removed_boards: tuple[str, ...]
