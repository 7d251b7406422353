"""Every profile that comes with edgewright is valid, and is what it says."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import edgewright_profiles
from edgewright import targets
from edgewright.config import profiles
from edgewright.errors import ConfigError
from edgewright.nouns.profile import Profile
from edgewright.precisions import PRECISIONS

NAMES = sorted(file.stem for file in Path(edgewright_profiles.__path__[0]).glob("*.toml"))
DOCUMENT = Path(__file__).parents[2] / "docs" / "profiles.md"
REAL_MODELS = {  # /proc/device-tree/model of real boards
    "Raspberry Pi Zero 2 W Rev 1.0": "pi-zero-2w",
    "Raspberry Pi 3 Model B Rev 1.2": "pi3b",
    "Raspberry Pi 3 Model B Plus Rev 1.3": "pi3b",
    "Raspberry Pi 4 Model B Rev 1.5": "pi4b",
    "Raspberry Pi Compute Module 3 Plus Rev 1.0": "pi3b",
    "Raspberry Pi 400 Rev 1.0": "pi4b",
    "Raspberry Pi Compute Module 4 Rev 1.0": "pi4b",
    "Raspberry Pi 5 Model B Rev 1.0": "pi5",
    "Raspberry Pi Compute Module 5 Rev 1.0": "pi5",
    "Raspberry Pi 500 Rev 1.0": "pi5",
    "Raspberry Pi 3 Model A Plus Rev 1.0": None,
    "NVIDIA Jetson Nano Developer Kit": "jetson-nano",
    "NVIDIA Jetson Nano 2GB Developer Kit": "jetson-nano",
    "NVIDIA Jetson Xavier NX Developer Kit": "jetson-xavier-nx",
    "NVIDIA Jetson Orin Nano Developer Kit": "jetson-orin-nano",
    "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super": "jetson-orin-nano",
    "NVIDIA Orin Nano Developer Kit": "jetson-orin-nano",  # so in JetPack 5
    "NVIDIA Orin NX Developer Kit": None,
    "NVIDIA Jetson AGX Orin Developer Kit": None,
    "Raspberry Pi 2 Model B Rev 1.1": None,
    "Raspberry Pi Zero W Rev 1.1": None,
}


def test_the_boards_of_the_main_job_are_there():
    assert {
        "pi-zero-2w", "pi3b", "pi4b", "pi5", "jetson-nano", "jetson-xavier-nx", "jetson-orin-nano",
        "intel-ncs2", "generic-x86_64", "generic-arm64",
    } <= set(NAMES)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_valid(name):
    profile = profiles.load(name)
    assert profile.name == name
    assert profile.title
    assert profile.source
    assert profile.memory_mb >= 256
    assert 1 <= profile.threads <= 16
    assert not profile.hardware
    assert set(profile.architectures) <= {"x86_64", "aarch64", "armv7l"}
    assert profile.pythons
    assert all(re.fullmatch(r"3\.\d+", version) for version in profile.pythons)


@pytest.mark.parametrize("name", NAMES)
def test_its_targets_exist_and_can_do_its_precision(name):
    profile = profiles.load(name)
    assert profile.precision in PRECISIONS
    assert profile.targets
    for target in profile.targets:
        assert profile.precision in targets.load(target).precisions
    assert set(profile.runtimes) <= set(profile.targets)


@pytest.mark.parametrize(("model", "expected"), REAL_MODELS.items())
def test_a_real_model_string_finds_its_profile_and_no_other(model, expected):
    found = [
        name for name in NAMES if any(fnmatchcase(model, pattern) for pattern in profiles.load(name).models)
    ]
    assert found == ([expected] if expected else [])


def test_a_profile_of_ones_own_with_a_wrong_key_is_refused(home):
    folder = home / "profiles"
    folder.mkdir()
    text = (Path(edgewright_profiles.__path__[0]) / "pi5.toml").read_text().replace('"pi5"', '"own"')
    (folder / "own.toml").write_text(text.replace("memory_mb", "memory_mib"))
    with pytest.raises(ConfigError, match="memory_mib") as error:
        profiles.load("own")
    assert "memory_mb" in error.value.hint


def test_every_key_is_documented():
    text = DOCUMENT.read_text()
    missing = [field for field in Profile.__struct_fields__ if f"| `{field}` |" not in text]
    assert missing == []
