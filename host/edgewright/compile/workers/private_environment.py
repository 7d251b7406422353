"""The environment of a confined worker: a new HOME, and no variable that refers to the user's."""

from __future__ import annotations

import os
import site
from collections.abc import Mapping
from pathlib import Path

from edgewright.config import home

# a model gets nothing else of the user's environment, such as cloud credentials; HOME and others are set below
_KEPT = frozenset({
    "PATH", "LANG", "LANGUAGE", "TZ", "TERM", "SHELL", "COLUMNS", "LINES", "NO_COLOR", "TMPDIR", "TEMP", "TMP",
    "LD_LIBRARY_PATH", "LD_PRELOAD", "LOCPATH", "LOCALE_ARCHIVE", "MALLOC_ARENA_MAX", "TORCHINDUCTOR_CACHE_DIR", "XLA_FLAGS", "CC", "CXX",
    "VIRTUAL_ENV", "CONDA_PREFIX", "NIX_LD", "NIX_LD_LIBRARY_PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "SOURCE_DATE_EPOCH",
    "COVERAGE_PROCESS_START", "JAVA_HOME", "OCL_ICD_VENDORS", "INTEL_OPENVINO_DIR",
})  # fmt: skip
_KEPT_FAMILIES = (
    "LC_", "EDGEWRIGHT_", "PYTHON", "OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "BLIS_", "NUMEXPR_", "TBB_", "TF_", "TF2_", "TFLITE_",
    "ONEDNN_", "DNNL_", "CUDA_", "NVIDIA_", "ORT_", "OV_", "OPENVINO_", "PYTORCH_", "TORCH_", "ATEN_", "KERAS_", "GLIBC_", "ASAN_", "UBSAN_",
)  # fmt: skip
# exceptions in these families: settings and caches in the user's HOME, code that runs at start, and secrets
_DROPPED = ("KERAS_HOME", "TORCH_HOME", "PYTHONSTARTUP", "PYTHONCASEOK", "PYTHONINSPECT")
_SECRET = (
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "API_KEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
)
VARIABLES = "EDGEWRIGHT_VARIABLES"
"""Variable with names of more variables that workers see, separated by commas: what a plug-in's converter needs, such as a licence."""


def private(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """An environment whose HOME is in a folder, which is created."""
    own = folder / "home"
    own.mkdir(mode=0o700)
    asked = {name.strip() for name in environment.get(VARIABLES, "").split(",")}
    kept = {name: value for name, value in environment.items() if name in asked or _is_kept(name)}
    kept["HOME"] = str(own)
    if path := environment.get("PYTHONPATH"):  # it starts in a different folder
        kept["PYTHONPATH"] = os.pathsep.join(
            str(Path(one).absolute()) for one in path.split(os.pathsep) if one
        )
    kept["EDGEWRIGHT_HOME"] = str(home.home())
    user = environment.get("USER") or environment.get("LOGNAME") or "worker"
    kept["USER"] = kept["LOGNAME"] = user  # otherwise libraries read /etc/passwd
    if site.ENABLE_USER_SITE:  # where `pip install --user` puts packages depends on HOME
        kept["PYTHONUSERBASE"] = site.getuserbase()
    return kept


def _is_kept(name: str) -> bool:
    if name in _DROPPED or any(word in name for word in _SECRET):
        return False
    return name in _KEPT or name.startswith(_KEPT_FAMILIES)
