"""Sensors: captured texts of boards, and this machine's own."""

import os
import subprocess
import sys
import time

import pytest

from edgewright_agent.board import environment, sensors


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("throttled=0x0\n", 0),
        ("throttled=0x50000\n", 0x50000),
        ("throttled=0x50005\n", 0x50005),
        ("VCHI initialization failed\n", None),
        ("Can't open device file: /dev/vcio\n", None),
        ("", None),
        (None, None),
    ],
)
def test_throttled(text, word):
    assert sensors.parse_throttled(text) == word


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Fan Mode:quiet\nNV Power Mode: MAXN\n0\n", "MAXN"),
        ("NV Power Mode: MODE_15W_6CORE\n2\n", "MODE_15W_6CORE"),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: 10W\n1\n", "10W"),
        ("nvpmodel: command failed", None),
        (None, None),
    ],
)
def test_power_mode(text, mode):
    assert sensors.parse_power_mode(text) == mode


@pytest.mark.parametrize(
    ("zones", "degrees"),
    [
        ([("cpu-thermal", "48312")], 48.312),  # Pi
        (
            [("AO-therm", "46000"), ("CPU-therm", "34500"), ("GPU-therm", "33000"), ("PLL-therm", "32000"),
             ("PMIC-Die", "100000"), ("thermal-fan-est", "33750")],
            34.5,
        ),  # Jetson Nano
        ([("cpu-thermal", "51437"), ("gpu-thermal", "49000"), ("soc0-therm", "52250"), ("cv", None)], 51.437),  # Orin
        ([("cpu-thermal", "51437"), ("cpu1-thermal", "52000"), ("cv0-thermal", "-256000")], 52.0),
        ([("soc_thermal", "51000"), ("gpu_thermal", "60000")], 51.0),
        ([("bcm2835_thermal", "38470")], 38.47),
        ([("cv0-thermal", "-256000")], None),
        ([("acpitz", "27800"), ("x86_pkg_temp", "61000"), ("iwlwifi_1", None)], 61.0),
        ([("acpitz", "27800"), ("nvme", "39000")], 39.0),
        ([("PMIC-Die", "100000")], None),
        ([("cpu-thermal", "")], None),
        ([("cpu-thermal", "-5000")], -5.0),
        ([], None),
    ],
)  # fmt: skip
def test_temperature(zones, degrees):
    assert sensors.pick_temperature(sensors.parse_zones(zones)) == degrees


def test_counters():
    assert sensors.parse_load("0.42 0.36 0.30 2/512 12345\n") == 0.42
    assert sensors.parse_load("") is None
    assert sensors.parse_swap_in("pgpgin 1\npswpin 17\npswpout 4\n") == 17
    assert sensors.parse_swap_in("pgpgin 1\n") is None
    stat = "cpu  100 20 30 1000 50 6 7 8 9 1\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    assert sensors.parse_cpu_ticks(stat) == (171, 1221)
    assert sensors.parse_cpu_ticks("cpu  100 20") is None
    assert sensors.parse_cpu_ticks(None) is None


@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_contention_by_hand(seconds):
    start, end = (1000, 10000, 50.0), (1300, 10400, 50.0 + 100 * seconds)
    assert environment.contention(start, end) == pytest.approx((300 - 100 * seconds) / 400)
    assert environment.contention(None, end) is None
    assert environment.contention(end, end) is None


def test_an_environment_of_this_machine():
    found = environment.read()
    assert found["load1"] >= 0 and found["swap_in_pages"] >= 0 and found["cpus"] == os.cpu_count()
    assert found["contention"] is None
    keys = ("throttled", "throttled_flags", "temperature_c", "governor", "frequency_mhz", "power_mode")
    assert set(found) == {*keys, "load1", "cpus", "swap_in_pages", "contention"}


def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_ones_own_time_is_known_that_of_ended_children_too():
    start = environment.cpu_clock()
    spin(0.3)
    program = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-S", "-c", program], check=True)
    own = (environment.cpu_clock()[2] - start[2]) / os.sysconf("SC_CLK_TCK")
    assert own == pytest.approx(0.6, abs=0.2)  # 0.3 without the child


def test_others_are_seen():
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        start = environment.cpu_clock()
        time.sleep(1.0)
        disturbed = environment.contention(start, environment.cpu_clock())
    finally:
        other.kill()
        other.wait()
    assert disturbed > 0.5 / os.cpu_count()


def test_a_tool_that_hangs_fails_or_is_absent(tmp_path, monkeypatch):
    for name, body in (("slow", "sleep 30"), ("loud", "echo out; echo err >&2; exit 3")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "odd").write_bytes(b"\x7fELF")
    (tmp_path / "odd").chmod(0o755)
    monkeypatch.setattr(sensors, "TOOL_PATH", f"{tmp_path}:/usr/bin:/bin")
    start = time.monotonic()
    assert sensors.ask("slow") is None
    assert 1.5 < time.monotonic() - start < 15
    monkeypatch.setattr(sensors, "TOOL_SECONDS", 60)
    assert sorted(sensors.ask("loud").split()) == ["err", "out"]
    assert sensors.ask("odd") is None
    assert sensors.ask("absent") is None


def test_a_pi_is_read_through_its_tool(tmp_path, monkeypatch):
    (tmp_path / "vcgencmd").write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x50008\n')
    (tmp_path / "vcgencmd").chmod(0o755)
    monkeypatch.setattr(sensors, "TOOL_PATH", f"{tmp_path}:/usr/bin:/bin")
    found = environment.read()
    assert (found["throttled"], found["throttled_flags"]) == (True, 0x50008)
    assert "vcgencmd" in sensors.names()
    (tmp_path / "vcgencmd").write_text("#!/bin/sh\necho throttled=0x50000\n")
    assert environment.read()["throttled"] is False


def test_a_sensor_without_power_is_unknown():
    # the kernel answers EAGAIN for the temperature of what is switched off, as an empty pipe does here
    end, other = os.pipe()
    os.set_blocking(end, False)
    assert sensors.read_text(end) is None
    os.close(other)


def test_files_that_cannot_be_read(tmp_path):
    assert sensors.read_text(str(tmp_path / "none")) is None
    assert sensors.read_text(str(tmp_path)) is None
    (tmp_path / "model").write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    assert sensors.read_text(str(tmp_path / "model")) == "Raspberry Pi 4 Model B Rev 1.4"
