"""Cuts an operation short at every change of the disk, and looks at what is left.

Usage: cuts.py power|kill|load OPERATION [SHARE]
Prints {"kinds": {kind: count}, "wrong": [[what, why], ...]}.

`power`: the operation is recorded once, then every disk that a power cut may leave is made and looked at; the
recovery of each is recorded too, and cut short in the same way. `kill`: the process really ends (os._exit) at each
change, in a fork each. `load`: as `power`, without the recoveries, and each release found is really run. SHARE n: every
n-th disk only.
"""

import json
import os
import sys
import tempfile
import traceback

from crashing import images, look, operations, scene
from crashing.recorder import STOPPED, Recorder

MAX_DEPTH = 2  # of a cut in the recovery of a cut in the recovery


def recorded(folder, work, fails=lambda number, kind: 0):
    """The recorder of some work on a folder."""
    recorder = Recorder(folder, fails)
    scene.record(recorder)
    try:
        work(recorder)
    finally:
        scene.record(None)
    return recorder


def operate(operation, folder, facts, fails=lambda number, kind: 0):
    """The recorder of an operation."""
    scene.reboot(scene.BOOT)
    if operation in operations.FROM_NOTHING:
        os.mkdir(folder, 0o700)

        def work(recorder):
            operation(scene.start(folder), facts, recorder.mark)

        return recorded(folder, work, fails)
    commands = scene.start(folder)
    operations.BEFORE.get(operation, lambda _: None)(commands)
    recorder = recorded(folder, lambda recorder: operation(commands, facts, recorder.mark), fails)
    scene.stop(commands)
    return recorder


def report(wrong, what):
    traceback.print_exc()
    wrong.append([what, repr(sys.exc_info()[1])])


def load(operation, template, folder, facts, share):
    """Some disks after a power cut; what is current then, and what is deployed next, is really run."""
    work, tried, wrong = folder + "/work", 0, []
    if operation not in operations.FROM_NOTHING:
        scene.copy(template, work)
    recorder = operate(operation, work, facts)
    for image in list(images.images(recorder.first, recorder.journal))[:: int(share)]:
        tried += 1
        image.write(look.fresh(work))
        try:
            look.look(operation, work, facts, image.marks, same_boot=False, load=True)
        except Exception:  # noqa: BLE001 - whatever it is, it is reported
            report(wrong, "moment %d, lost %s" % (image.moment, image.lost))
    return {"model run": tried}, wrong


def power(operation, template, folder, facts, share):
    """Every disk after a power cut, those of cut recoveries included."""
    work, counts, wrong, seen = folder + "/work", {}, [], set()
    if operation not in operations.FROM_NOTHING:
        scene.copy(template, work)
    recorder = operate(operation, work, facts)
    queue = [(image, 0) for image in images.images(recorder.first, recorder.journal)]
    seen.update(image.key() for image, _ in queue)
    queue = queue[:: int(share)]
    while queue:
        image, depth = queue.pop()
        kind = ["power cut", "power cut in the recovery", "power cut in the second recovery"][min(depth, 2)]
        counts[kind] = counts.get(kind, 0) + 1
        what = "depth %d, moment %d, lost %s%s" % (depth, image.moment, image.lost, " as zeros" * image.zeros)
        image.write(look.fresh(work))
        try:
            if depth < MAX_DEPTH:
                queue += [(one, depth + 1) for one in recoveries(work, image, seen, depth > 0)]
                image.write(look.fresh(work))
            look.look(operation, work, facts, image.marks, same_boot=False)
            if depth == 0 and not image.lost:
                image.write(look.fresh(work))
                look.look(operation, work, facts, image.marks, same_boot=True)
        except Exception:  # noqa: BLE001 - whatever it is, it is reported
            report(wrong, what)
    return counts, wrong


def recoveries(folder, image, seen, brief):
    """The disks that are left when the recovery on an image is cut short, but for those seen already; `brief`: all or nothing is lost."""
    scene.reboot("another boot")
    recorder = recorded(folder, lambda _: scene.stop(scene.start(folder)))
    for one in images.images(recorder.first, recorder.journal, brief):
        one.marks = image.marks
        if one.key() not in seen:
            seen.add(one.key())
            yield one


def kill(operation, template, folder, facts, share):
    """The process ends at each change."""
    work, wrong = folder + "/work", []
    made = folder + "/made"
    scene.copy(template, made) if operation not in operations.FROM_NOTHING else None
    recorder = operate(operation, made, facts)
    step = 1
    while True:
        look.fresh(work)
        if operation not in operations.FROM_NOTHING:
            scene.copy(template, work)
        code = forked(lambda: operate(operation, work, facts, lambda n, _: STOPPED if n == step else 0))  # noqa: B023
        if code not in (0, STOPPED):
            wrong.append(["step %d" % step, "the operation itself broke: exit code %d" % code])
        try:
            look.look(operation, work, facts, marks_at(recorder, step if code else None), same_boot=True)
        except Exception:  # noqa: BLE001 - whatever it is, it is reported
            report(wrong, "stopped before change %d" % step)
        if code == 0:
            return {"process killed": step}, wrong
        step += int(share)


def marks_at(recorder, step):
    """What was reported to the host before a change of the disk; None: by the end."""
    marks = [entry for entry in recorder.journal if entry[0] == "mark"]
    return {word for _, word, changes in marks if step is None or changes < step}


def forked(work):
    """The exit code of some work in a separate process."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - whatever it is, it is reported
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(mode, name, folder, share):
    """{kind: count} and what went wrong."""
    operation = operations.BY_NAME[name]
    template = folder + "/template"
    facts = scene.prepare(template)
    facts["none"] = None
    return {"power": power, "kill": kill, "load": load}[mode](operation, template, folder, facts, share)


def main(mode, name, share="1"):
    scene.stand_in()
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        counts, wrong = run(mode, name, folder, share)
    sys.stdout.write(json.dumps({"kinds": counts, "wrong": wrong}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
