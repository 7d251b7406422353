"""The options that `convert` and `deploy` share, in the form that the API takes, and the project file that both find by default."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.cli import options, render
from edgewright.nouns.base import Noun

if TYPE_CHECKING:
    from edgewright.api import models
    from edgewright.nouns.project import Project


class ModelOptions(Noun, frozen=True, kw_only=True):
    """The options that `convert` and `deploy` share, as typed; each has the name of the commands' parameter."""

    target: str | None = None
    precision: str | None = None
    cpu: str | None = None
    calibration: str | None = None
    evaluation: Path | None = None
    metric: str | None = None
    score: str | None = None
    input_shape: list[str] | None = None
    inputs: str | None = None
    outputs: str | None = None
    signature: str | None = None
    keep_float: list[str] | None = None
    calibration_method: str | None = None
    integer_io: bool | None = None
    allow_constant: bool = False
    trust_model: bool = False
    no_cache: bool = False

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> ModelOptions:
        """Picks the options from a command's arguments, `locals()`; raises KeyError if the command lacks one."""
        return cls(**{name: arguments[name] for name in cls.__struct_fields__})

    def options(self, project: Project | None) -> models.ModelOptions:
        """The options in the form that the API takes.

        Raises:
            UsageError: an input shape is malformed.
        """
        plain = ("target", "precision", "cpu", "calibration", "evaluation", "metric", "score", "signature",
                 "calibration_method", "integer_io", "allow_constant", "trust_model")  # fmt: skip
        found: Any = {name: getattr(self, name) for name in plain} | {
            "project": project,
            "input_shapes": options.input_shapes(self.input_shape),
            "inputs": options.names(self.inputs),
            "outputs": options.names(self.outputs),
            "keep_float": tuple(self.keep_float or ()),
            "use_cache": not self.no_cache,
        }
        made: models.ModelOptions = found  # a test compares the names
        return made


def load_project(given: Path | None) -> Project | None:
    """The given project file, or else the working folder's if it has one."""
    from edgewright.config import project

    path = given or Path(project.FILE_NAME)
    if given is None and not path.exists():
        return None
    found = project.load(path)
    if note := project.memory_note(found):
        render.note(note)
    return found
