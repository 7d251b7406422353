"""Runs artifacts with a runner and keeps their outputs. Needs only Python 3.9, numpy and the standard library.

    python3 -I -S -B runner_outputs.py JOB.json

A job names `runner`, `runtime`, `inputs` (an .npz with `x`) and `artifacts` ({name: folder}); the outputs go to
`<folder>/answers.npy`, float64 (samples, ...). Prints the runtime's name.
"""

import importlib.util
import json
import sys
from pathlib import Path


def answers(runner, folder, samples):
    """All outputs of a model with one input and one output."""
    import numpy as np

    manifest = json.loads(Path(folder, "manifest.json").read_bytes())
    session = runner.load(folder, manifest, {"threads": 1, "accelerator": None, "prepared": None})
    (given,), (spec,) = manifest["inputs"], manifest["outputs"]
    found = []
    for sample in samples:
        data = np.ascontiguousarray(sample, given["dtype"]).tobytes()
        (output,) = session.read(session.infer(session.feed([data])))
        found.append(np.frombuffer(bytes(output), spec["dtype"]).reshape(spec["shape"]).astype(np.float64))
    session.close()
    return np.stack(found)


def main(job):
    """Runs every artifact of a job."""
    sys.path.append(job["runtime"])
    spec = importlib.util.spec_from_file_location("runner", job["runner"])
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    print(runner.import_runtime())
    import numpy as np

    with np.load(job["inputs"]) as data:
        samples = data["x"]
    for folder in job["artifacts"].values():
        np.save(Path(folder, "answers.npy"), answers(runner, folder, samples))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_bytes()))
