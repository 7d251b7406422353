"""What tells this board from others. It is read without the programs that `facts` asks: every session begins with it."""

import hashlib
import os

from edgewright_agent import shapes
from edgewright_agent.board.sensors import system_text
from edgewright_agent.protocol import loads
from edgewright_agent.storage import root as roots

SUBSTITUTES = "facts.json"  # in the root folder: facts that an administrator overrides
SUBSTITUTABLE = {
    "model": str,
    "arch": str,
    "serial": str,
    "memory_mb": int,
    "cpus": int,
    "cpu": str,
    "accelerators": list,
    "sensors": list,
    "distribution": str,
}


def read(root: "str") -> "shapes.Result":
    """The facts that every session needs: `serial`, and what `substitute` adds."""
    own = serial(system_text("/proc/device-tree/serial-number"), system_text("/etc/machine-id"))
    return substituted({"serial": own}, root)


def substituted(facts: "shapes.Result", root: "str") -> "shapes.Result":
    """As `substitute`, with the file of a root folder."""
    return substitute(facts, roots.read_text(os.path.join(root, SUBSTITUTES)))


def serial(hardware_serial: "str | None", machine_id: "str | None") -> "str":
    """The hardware's serial number, else a hash of the machine id, which must stay confidential."""
    if hardware_serial or not machine_id:
        return hardware_serial or ""
    return "machine-" + hashlib.sha256(b"edgewright " + machine_id.encode("utf-8")).hexdigest()[:24]


def substitute(facts: "shapes.Result", text: "str") -> "shapes.Result":
    """Replace facts by an administrator's substitutes and list them in `simulated`. Facts that select wheels stay.

    Args:
        text: JSON of the substitutes. Unknown keys and values of the wrong type are ignored.
    """
    try:
        found = loads(text)
    except ValueError:
        found = None
    found = found if isinstance(found, dict) else {}
    taken = {key: value for key, value in found.items() if fits(key, value)}
    told = found.get("simulated")  # facts that were read from files that simulate hardware
    named = [name for name in told if name in SUBSTITUTABLE] if isinstance(told, list) else []
    merged = dict(facts)
    merged.update(taken, simulated=sorted(set(taken).union(named)))
    return merged


def fits(key: "str", value: "object") -> "bool":
    """Whether a fact may be substituted by this value."""
    kind = SUBSTITUTABLE.get(key)
    if kind is None or not isinstance(value, kind) or isinstance(value, bool):
        return False
    return not isinstance(value, list) or all(isinstance(item, str) for item in value)
