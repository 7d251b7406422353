"""Writes `api.jsonl`: what the real Python bindings of TensorRT offer, of the classes that the runner uses.

    python3.11 tests/tensorrt/capture.py > tests/tensorrt/api.jsonl

It fetches the wheels of the bindings (1 MB each, without the libraries of 2 GB that they are bindings of), puts empty
libraries of the same names beside them, made by gcc, so that they can be imported without a GPU, and reads the signatures
that the bindings carry. Nothing of TensorRT itself runs.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEELS = {"8.6.1": "tensorrt-bindings==8.6.1", "10.3.0": "tensorrt-cu12-bindings==10.3.0",
          "11.4.0": "tensorrt-cu12-bindings==11.4.0.106"}  # fmt: skip
VERSION = "3.11"  # of the Python that reads them: the one for which all of these have a wheel
PLATFORMS = ["manylinux_2_17_x86_64", "manylinux_2_28_x86_64"]
LIBRARIES = ("libnvinfer", "libnvonnxparser", "libnvparsers", "libnvinfer_plugin")
READ = '''
import json, re, sys
import tensorrt_bindings as trt

CLASSES = """Builder IBuilderConfig INetworkDefinition OnnxParser ParserError Runtime ICudaEngine IExecutionContext
    Logger IInt8EntropyCalibrator2""".split()
ENUMS = "BuilderFlag NetworkDefinitionCreationFlag MemoryPoolType TensorIOMode DataType".split()

def parameters(text):
    """[[name, is optional]] of what a signature takes besides self."""
    parts, depth, part = [], 0, ""
    for char in text + ",":
        depth += (char in "([{") - (char in ")]}")
        if char == "," and not depth:
            parts.append(part.strip())
            part = ""
        else:
            part += char
    return [[one.split(":")[0].strip(), "=" in one] for one in parts if one and not one.startswith("self")]

def signatures(name, doc):
    """[{"takes", "gives"}] of a method, by the lines that pybind11 begins its documentation with."""
    pattern = r"^(?:\\d+\\. )?%s\\((?!\\*args)(.*)\\)(?: -> (\\S.*))?$" % re.escape(name)
    return [
        {"takes": parameters(found.group(1)), "gives": (found.group(2) or "None").split(".")[-1]}
        for found in re.finditer(pattern, doc or "", re.MULTILINE)
    ]

def members(kind):
    found = {}
    for name in dir(kind):
        value = getattr(kind, name)
        if name == "__init__":
            found[name] = signatures(name, value.__doc__)
        elif name.startswith(("_", "add_")):
            continue
        elif isinstance(value, property):
            found[name] = {"set": value.fset is not None}
        elif callable(value):
            found[name] = signatures(name, value.__doc__)
    return found

print(json.dumps({
    "classes": {name: members(getattr(trt, name)) for name in CLASSES if hasattr(trt, name)},
    "enums": {
        **{name: sorted(getattr(trt, name).__members__) for name in ENUMS},
        "Logger": sorted(name for name in dir(trt.Logger) if name.isupper()),
    },
}))
'''


def fetch(folder: Path, requirement: str) -> Path:
    """The unpacked wheel of a requirement."""
    wheels = folder / "wheels"
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    subprocess.run([*command, "--python-version", VERSION, "-d", str(wheels), requirement], check=True)
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def stand_ins(folder: Path, unpacked: Path, major: str) -> Path:
    """Empty libraries with the names and the symbols that the bindings are linked with."""
    bindings = unpacked / "tensorrt_bindings/tensorrt.so"
    listing = subprocess.run(
        ["nm", "-D", "--undefined-only", str(bindings)], check=True, capture_output=True, text=True
    )
    names = [line.split()[-1] for line in listing.stdout.splitlines() if line.split()[0] == "U"]
    own = [
        name
        for name in names
        if name.startswith(("createInfer", "createNv", "get", "initLib", "_ZN11nv", "_ZN14nv"))
    ]
    (folder / "empty.c").write_text(
        "".join(f"void *{name}(void) {{ return 0; }}\n" for name in own if "@" not in name)
    )
    made = folder / "libraries"
    made.mkdir()
    for name in LIBRARIES:
        file = f"{name}.so.{major}"
        command = ["gcc", "-w", "-shared", "-fPIC", f"-Wl,-soname,{file}", "-o", str(made / file)]
        subprocess.run([*command, str(folder / "empty.c")], check=True)
    return made


def bindings(folder: Path, version: str) -> dict[str, str]:
    """Fetches a version's bindings into an empty folder. The environment in which Python can import them."""
    unpacked = fetch(folder, WHEELS[version])
    libraries = stand_ins(folder, unpacked, version.split(".")[0])
    return {**os.environ, "LD_LIBRARY_PATH": str(libraries), "PYTHONPATH": str(unpacked)}


def captured(version: str, environment: dict[str, str]) -> list[str]:
    """The lines of a version, one a class."""
    done = subprocess.run(
        [sys.executable, "-c", READ], check=True, capture_output=True, text=True, env=environment
    )
    found = json.loads(done.stdout)
    lines = [[version, "class", *item] for item in sorted(found["classes"].items())]
    lines += [[version, "enum", *item] for item in sorted(found["enums"].items())]
    return [json.dumps(line, sort_keys=True) for line in lines]


def main() -> None:
    """Prints all lines."""
    for version in WHEELS:
        with tempfile.TemporaryDirectory() as folder:
            print("\n".join(captured(version, bindings(Path(folder), version))))


if __name__ == "__main__":
    main()
