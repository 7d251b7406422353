"""Code: every error code, its meaning and its cure. docs/errors.md is generated from it."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """A stable word for programs: on the wire, in JSON and in the history.

    Attributes:
        meaning: when it is raised.
        cure: what to do if the error itself has no better hint. `BOARD` stands for the board's name.
    """

    meaning: str
    cure: str

    def __new__(cls, word: str, meaning: str, cure: str) -> Code:
        """A word with its two texts."""
        code = str.__new__(cls, word)
        code._value_ = word
        code.meaning, code.cure = meaning, cure
        return code

    @classmethod
    def of(cls, word: str) -> Code | None:
        """The code for a word; None if this version has none."""
        return next((code for code in cls if code == word), None)

    # fmt: off
    # what a board's agent reports (`edgewright_agent.protocol.Code`); the host raises some of them too
    ACCELERATOR_ABSENT = "accelerator-absent", "the accelerator is not on the board, or the model does not run on it", "`edgewright doctor BOARD` shows which accelerators it has; install the driver, or choose another one"
    BAD_ARGUMENT = "bad-argument", "the agent refused an argument, or a file that was sent does not fit the model", "check the data; if it fits, `edgewright logs BOARD` may say more"
    BAD_MANIFEST = "bad-manifest", "the artifact's manifest is not one that the agent can use", "convert the model again with --no-cache"
    BUSY = "busy", "another session is at work on the board", "run this again when it is over"
    CHILD_CRASHED = "child-crashed", "the process that runs the model crashed or was killed", "provision another version of the runtime, or convert the model for another target"
    CONFLICT = "conflict", "the board is not in the state that the command expects", "`edgewright status BOARD` shows what runs there; run this again"
    DISK_FULL = "disk-full", "there is too little space on a disk", "`edgewright fleet prune BOARD` removes old releases and unused runtimes; or free space there"
    FAILED_BEFORE = "failed-before", "this artifact failed on this board before, with the same runtime", "convert it differently, or provision another version of the runtime"
    HASH_MISMATCH = "hash-mismatch", "bytes that reached the board are not those that were sent", "run this again; if it happens again, check the board's disk and memory"
    HOOK_FAILED = "hook-failed", "a hook of the release failed or took too long, and the release before it runs again", "`edgewright logs BOARD` has what it printed"
    IN_USE = "in-use", "the release is in use, so it cannot be replaced or removed", "deploy it under another version: --version VERSION"
    IO = "io", "a file could not be read or written", "`edgewright status BOARD` names what is damaged, `edgewright fleet repair BOARD` puts right what it can; else check the disk"
    LOAD_FAILED = "load-failed", "the runtime on the board refused the model, or failed to run it", "provision another version of the runtime, or convert the model for another target"
    NEWER_SCHEMA = "newer-schema", "a newer edgewright wrote this file, or the state of this board", "upgrade edgewright on this machine"
    NO_GUARD = "no-guard", "nothing would end the trial if the board rebooted, or no watchdog could be started", "`edgewright doctor BOARD --install-guard` installs a guard; --unguarded does without"
    NOT_FOUND = "not-found", "there is no such model, release, transaction or file on the board", "`edgewright status BOARD` lists the models and their releases"
    NOTHING_TO_ROLL_BACK = "nothing-to-roll-back", "there is no other known-good release to go back to", "deploy another version"
    PROTOCOL = "protocol", "the other end does not speak this version of the wire", "run this again with --debug for the board's log"
    RELEASE_DAMAGED = "release-damaged", "files of the release were changed or lost on the board", "deploy it again (if it is current, under another version: --version VERSION)"
    REVERTED = "reverted", "the trial ended before it was committed: the board has put the release before it back", "allow a longer trial: deploy --deadline SECONDS"
    ROOT_REFUSED = "root-refused", "the root folder on the board must not be used", "set `root` of this board in fleet.toml to a new folder on a real, writable disk"
    RUNNER_MISSING = "runner-missing", "the board lacks the code that runs models of this target", "deploy it again"
    RUNNER_REFUSED = "runner-refused", "an administrator installed the agent, and its runners do not include this one", "`edgewright fleet agent FILE` writes an agent with runners for the administrator to install"
    RUNTIME_DAMAGED = "runtime-damaged", "files of the runtime were changed or lost on the board, or it cannot be imported", "`edgewright provision BOARD` installs it again"
    RUNTIME_MISSING = "runtime-missing", "the runtime that the release needs is not on the board", "`edgewright provision BOARD` installs it"
    SLOW_START = "slow-start", "the time limit passed before the model was loaded", "--protocol standard allows more time"
    STATE_LOST = "state-lost", "both copies of the board's state are damaged", "`edgewright fleet reset BOARD` accepts what `current` points to"
    TIMEOUT = "timeout", "the board did not finish in time", "`edgewright logs BOARD` may say what it was doing; run this again when the board is less busy"
    UNKNOWN_COMMAND = "unknown-command", "the board's agent is of another version and does not know the command", "an administrator installed the agent: have this version's installed"

    # boards and links
    AUTH = "auth", "the board refused the key or the password", "check `identity` and `user` of the board in fleet.toml"
    BOARD = "board", "the board's agent failed and gave no code", "`edgewright logs BOARD` may say why"
    BOARD_CLONED = "board-cloned", "two boards have the same keys and another serial number: a card was cloned", "make new SSH host keys on one of them and remove its root folder"
    BOARD_DUPLICATE = "board-duplicate", "two names of the fleet lead to the same board", "remove one of them: `edgewright fleet remove BOARD`"
    BOARD_REPLACED = "board-replaced", "the board is not the one that was pinned", "if it was replaced on purpose, pin it again: `edgewright fleet trust BOARD --replace`"
    HOST_KEY_CHANGED = "host-key-changed", "the board shows another host key than the pinned one", "find out why; if it was set up again, `edgewright fleet trust BOARD --replace`"
    HOST_KEY_REVOKED = "host-key-revoked", "a `known_hosts` file revokes the host key that the board shows", "give the board new host keys (`ssh-keygen -A`), then `edgewright fleet trust BOARD --replace`"
    HOST_KEY_UNKNOWN = "host-key-unknown", "the board's host key is not pinned yet", "`edgewright fleet trust BOARD`"
    NO_BOARD = "no-board", "the selector chooses no board", "`edgewright fleet list` shows the boards and their labels"
    NO_FIT = "no-fit", "the model cannot run on this board", "convert it for another target or precision"
    NO_NUMPY = "no-numpy", "the runtime needs a numpy that the board's own system has to bring", "install it there: `sudo apt install python3-numpy`"
    NO_PROFILE = "no-profile", "no profile fits the board", "name one: `edgewright fleet add BOARD ADDRESS --profile NAME`"
    NO_PYTHON = "no-python", "the board has no Python 3.6 or newer in the usual places", "install python3 there, or name it with `python` in fleet.toml"
    NO_RUNTIME = "no-runtime", "no runtime exists for the board's architecture", "use another board, or a runtime that its system has"
    START_FAILED = "start-failed", "the agent did not start on the board", "check that `ssh BOARD python3 --version` works"
    TRUST = "trust", "the host key or the identity of the board is not what it must be", "`edgewright fleet trust BOARD`"
    UNKNOWN_BOARD = "unknown-board", "the fleet has no board of this name", "`edgewright fleet list` shows the boards"
    UNKNOWN_PROFILE = "unknown-profile", "there is no profile of this name", "`edgewright profiles list` shows them"
    PLUGIN_UNUSABLE = "plugin-unusable", "a plug-in cannot be imported, or lacks something", "update or uninstall it; `edgewright targets` names it"
    UNREACHABLE = "unreachable", "the board did not answer, or the link broke", "check that it is on and its network up; run this again"
    UNSUPPORTED = "unsupported", "the board's agent is too old for this", "an administrator installed the agent: have this version's installed"

    # deployments
    ABORTED = "aborted", "the user stopped it; nothing that it would have changed was changed", "run it again to continue"
    INTERFACE = "interface", "inputs or outputs of the release are not those of the one that runs", "--accept-interface-change deploys it all the same"
    LEFT = "left", "the user stopped twice and did not wait: how it ended is not known here", "`edgewright status` shows what runs"
    REFUSED = "refused", "the release did not meet its budget, or answered wrongly, on the board", "see its checks with --json; `current` did not move"
    SYNTHETIC_CALIBRATION = "synthetic-calibration", "the artifact was calibrated without real data", "give --calibration FILE, or --allow-synthetic"

    # runtimes and wheels
    BAD_BUNDLE = "bad-bundle", "the file is not a bundle, or is damaged", "copy it again, or write it again where there is internet"
    INDEX_UNREACHABLE = "index-unreachable", "the package index cannot be reached", "check the network and pip's settings; or give --wheel FILE or --bundle FILE"
    NO_WHEEL = "no-wheel", "no wheel of the runtime runs on the board", "use another target, or give a wheel: --wheel FILE"
    RUNTIME_TOO_OLD = "runtime-too-old", "the runtime that the board can have does not read this model", "convert it for this board's profile, or use another target"
    RUNTIME_UNSUPPORTED = "runtime-unsupported", "the board's Python is none that wheels are made for", "use CPython on Linux"
    WRONG_WHEEL = "wrong-wheel", "the wheel is not for the board, or not of the target", "give a wheel with tags that the board takes"

    # source models
    CUSTOM_OPERATOR = "custom-operator", "an ONNX model has operators of a custom library, whose outputs the host cannot compute", "cut the model before them, or write them as functions of the model"
    CUSTOM_OPERATORS = "custom-operators", "the model needs operators that the target does not have", "use another target, or write them in operators that it has"
    DYNAMIC_SHAPE = "dynamic-shape", "an input has an open size", "give it: --input-shape NAME=1,32,32,3"
    ENDS_GIVEN = "ends-given", "inputs and outputs cannot be chosen for this format", "leave --inputs and --outputs out"
    FILE_UNSEEN = "file-unseen", "a model function reads a file whose changes would not be noticed", "name it in the function's file: FILES = [\"path\"]"
    INPUT_KIND = "input-kind", "an input is not a tensor of numbers", "export the model with inputs that are tensors of numbers"
    MODEL = "model", "the source model cannot be read, or is not what its name says", "export it again"
    MODEL_CUSTOM_LAYER = "model-custom-layer", "a Keras file has layers whose code is not in it", "export it as a SavedModel"
    MODEL_MISNAMED = "model-misnamed", "the file is of another format than its name says", "rename it"
    MODEL_NOT_FOUND = "model-not-found", "there is no such file", "check the path"
    MODEL_NOT_FROZEN = "model-not-frozen", "a TensorFlow graph has variables", "freeze it, or give a SavedModel"
    MODEL_RANDOM = "model-random", "the model gives the same input different outputs", "export it for inference, without random operators"
    MODEL_REFUSED = "model-refused", "the model holds something that is not run, or that a runtime refuses", "export the inference function alone"
    MODEL_STATEFUL = "model-stateful", "the model keeps state between calls", "make the state inputs and outputs"
    MODEL_TOO_LARGE = "model-too-large", "the model is too large for this conversion", "use --precision fp32, fp16 or as-is, or make it smaller"
    MODEL_TRAINING = "model-training", "the model was exported in training mode", "call module.eval() before the export"
    MODEL_TRUNCATED = "model-truncated", "the model file is cut short or damaged", "copy or export it again"
    MODEL_UNTRAINABLE = "model-untrainable", "a model of this format cannot be trained further, or not be compressed at all", "give the Keras file or the PyTorch function that it was made from"
    MODEL_UNKNOWN = "model-unknown", "the model is of no known format", "`edgewright targets --matrix` shows the formats"
    MODEL_UNREADABLE = "model-unreadable", "the model cannot be read", "copy or export it again"
    NO_SIGNATURE = "no-signature", "a SavedModel has no signature", "name its ends: --inputs A,B --outputs C"
    NO_SUCH_END = "no-such-end", "the graph has no tensor of this name", "check --inputs and --outputs"
    NO_SUCH_FUNCTION = "no-such-function", "the Python file has no function of this name", "check the name after the colon"
    NO_SUCH_INPUT = "no-such-input", "the model has no input of this name", "check --input-shape"
    NO_SUCH_SIGNATURE = "no-such-signature", "the model has no signature of this name", "check --signature"
    OUTPUT_KIND = "output-kind", "an output is not a tensor of numbers that boards can return", "end the model before it, or convert it to numbers"
    SHAPE_MISMATCH = "shape-mismatch", "a given shape contradicts the model's", "check --input-shape"
    SHAPE_VARIES = "shape-varies", "an output changes its shape from input to input", "export the model with fixed sizes"
    SIGNATURE_GIVEN = "signature-given", "a signature was named where it cannot be used", "leave --signature out"
    SIGNATURE_MISSING = "signature-missing", "the model has several signatures and no default", "name one: --signature NAME"
    TARGET_UNKNOWN = "target-unknown", "there is no target of this name", "`edgewright targets` shows them"

    # data
    CALIBRATION_MISSING = "calibration-missing", "the precision needs calibration data", "give --calibration FILE with some hundred real inputs"
    CONSTANT_MODEL = "constant-model", "the model gives the same output for all test inputs", "give --calibration FILE with real inputs, or --allow-constant"
    DATA = "data", "calibration or evaluation data do not fit the model", "check the data against the model's inputs"
    EVALUATION_MISSING = "evaluation-missing", "an option needs an evaluation set", "give --evaluation FILE"
    MAX_DROP = "max-drop", "the artifact loses more accuracy than the budget allows", "use another precision, or allow more: --max-drop"
    NO_SUCH_OUTPUT = "no-such-output", "the model has no output of this name to score", "check --score"
    NOT_FINITE = "not-finite", "the model gives values that are not finite", "give --calibration FILE with real inputs, or use fp32"
    OUTPUT_AMBIGUOUS = "output-ambiguous", "the labels fit several outputs", "name one: --score OUTPUT"
    RANDOM_INPUTS = "random-inputs", "the model does not take random numbers, and there are no real inputs", "give --calibration FILE"

    # compression
    BELOW_FLOOR = "below-floor", "a step of a recipe loses more accuracy than its floor allows", "train longer, remove less, or change the floor"
    LABELS_MISSING = "labels-missing", "a step of a recipe needs labels and the training data have none", "give labelled data, or let it learn from a teacher alone: distill with soft = 1"
    RECIPE = "recipe", "a recipe cannot be carried out", "check its steps and their order"
    TEACHER_UNLIKE = "teacher-unlike", "a teacher and its student differ in their outputs", "give a teacher that was trained for the same classes"
    TRAINING_DATA_MISSING = "training-data-missing", "a step of a recipe trains and there are no training data", "give --data"
    TRAINING_DIVERGED = "training-diverged", "the loss is not finite", "use a lower learning rate: --rate"

    # conversions
    ACCELERATOR_UNSUPPORTED = "accelerator-unsupported", "the model or its precision cannot run on the accelerator", "use another precision, or leave the accelerator out"
    BEYOND_32_BITS = "beyond-32-bits", "the model has whole numbers that the converter cuts to 32 bits", "use --target onnxruntime, or smaller numbers"
    CALIBRATION_METHOD_UNKNOWN = "calibration-method-unknown", "the target has no such calibration method", "check --calibration-method"
    CONVERSION = "conversion", "a converter refused the model, crashed, or answered wrongly", "use another target or precision"
    CONVERSION_FAILED = "conversion-failed", "a converter failed on the model", "the log that the error names says more; use another target"
    INTEGER_IO = "integer-io", "inputs and outputs cannot be integers here", "leave --integer-io out"
    INTEGERS_TOO_WIDE = "integers-too-wide", "the model has whole numbers that the target computes in fewer bits", "use --target onnxruntime, or smaller numbers"
    KEEP_FLOAT = "keep-float", "layers to keep in floats are given where they cannot be, or are missing", "use --precision int8-mixed with --keep-float LAYER"
    KEEP_FLOAT_IGNORED = "keep-float-ignored", "a layer to keep in floats does not exist any more when the model is quantised", "name the layer that it became part of"
    LEVELS = "levels", "rounding leaves parts of an output too few levels", "use --fallback, or a finer precision"
    LOOP_NOT_CALIBRATED = "loop-not-calibrated", "the model has a loop whose inside cannot be calibrated", "use int8-dynamic or int8-weights, or unroll the layer"
    NO_EDGE = "no-edge", "there is no way from this format to this target", "`edgewright targets --matrix` shows what there is"
    NO_SUCH_LAYER = "no-such-layer", "the model has no layer of this name to keep in floats", "`edgewright convert MODEL --explain` lists the layers"
    NOT_KEPT_FLOAT = "not-kept-float", "a layer that was to stay in floats was quantised", "name also the layers around it"
    NOTHING_QUANTISED = "nothing-quantised", "nothing of the model was quantised", "keep fewer layers in floats, or use --precision fp32"
    OPERATOR_UNKNOWN = "operator-unknown", "a converter does not know an operator of the model", "write it with other operators"
    OPSET_TOO_NEW = "opset-too-new", "the model's opset is newer than the board's runtime reads", "export it at an older opset, or provision a newer runtime"
    OPSET_TOO_OLD = "opset-too-old", "the model's opset is too old to quantise", "export it at a newer opset"
    PARITY = "parity", "the artifact's outputs are not those of its source", "use a finer precision, or another target"
    PRECISION_UNKNOWN = "precision-unknown", "the target has no such precision", "`edgewright targets` shows what it has"
    QUANTISED_ALREADY = "quantised-already", "parts of the model are quantised already", "start from the float model that it was made from"
    SEARCH_NOTHING = "search-nothing", "none of the precisions that were tried could be made", "--max-trials and --max-minutes allow more"
    WORKER_CRASHED = "worker-crashed", "the process of a framework crashed", "the log that the error names says more"
    WORKER_MEMORY = "worker-memory", "the process of a framework outgrew its memory", "use fewer samples, or a machine with more memory"
    WORKER_TIMEOUT = "worker-timeout", "a converter did not finish in time", "convert it on a faster machine"

    # this machine
    ARTIFACT = "artifact", "an artifact's bytes and its manifest disagree, or a newer version wrote it", "convert the model again"
    ARTIFACT_AMBIGUOUS = "artifact-ambiguous", "several artifacts begin like this", "give more of its id"
    ARTIFACT_DAMAGED = "artifact-damaged", "files of an artifact were changed or lost", "convert the model again"
    ARTIFACT_NOT_FOUND = "artifact-not-found", "there is no such artifact on this machine", "`edgewright cache list` shows them"
    CONFIG = "config", "a TOML file has an unknown key, a wrong type or a value out of range", "correct the line that is named"
    DEMO_RUNNING = "demo-running", "another demo is at work", "wait until it is over"
    ERROR = "error", "something failed that has no other code", "read the message and its hint"
    FILE_NOT_FOUND = "file-not-found", "there is no such file", "check the path"
    HISTORY = "history", "the history database failed", "check EDGEWRIGHT_HISTORY"
    RUNNER_DIALECT = "runner-dialect", "the code of a plug-in's runner cannot be packed without changing it", "report it to the authors of the plug-in"
    RUNNER_IMPORTS = "runner-imports", "the runner of a plug-in imports a module that cannot be packed", "report it to the authors of the plug-in"
    DATA_CHANGED = "data-changed", "data that a deployment began with is another now", "put the old data back, or start a new deployment"
    PLAN_CHANGED = "plan-changed", "a deployment's plan was edited, or is damaged", "start a new deployment"
    DEPLOYMENT_RUNNING = "deployment-running", "another process is at work on the deployment", "wait until it has ended, or stop that process"
    OTHER_HOST = "other-host", "the deployment was begun on another machine, which may be at work on it", "resume it there; if that machine has stopped, `edgewright deploy --resume ID --take-over`"
    NOTHING_LEFT = "nothing-left", "no deployment is unfinished", "`edgewright history` shows how each ended"
    SUPERSEDED = "superseded", "a later deployment went to the board", "start a new deployment if this release is still wanted"
    STAGE_RESULT = "stage-result", "a stage of a target returned something else than a result", "report it to the authors of the target"
    LAYERS_UNREAD = "layers-unread", "the target has no reader of its layers", "leave out --explain and --fallback for this target"
    INTERNAL = "internal", "a bug", "report it with the output of --debug"
    KERNEL_TOO_OLD = "kernel-too-old", "this machine's kernel cannot run emulated boards", "emulate a whole machine: add --vm to `edgewright lab up --arch ARCH`"
    LAB = "lab", "the record of a lab cannot be read", "`edgewright lab down`"
    LAB_EXISTS = "lab-exists", "there is a lab of this name already", "`edgewright lab down --name NAME`, or choose another name"
    NO_EMULATION = "no-emulation", "this machine does not let its users emulate boards", "emulate a whole machine: add --vm to `edgewright lab up --arch ARCH`"
    NO_LAB = "no-lab", "there is no lab of this name", "`edgewright lab list` shows them"
    NO_MIRROR = "no-mirror", "this machine names no Debian archive", "name one: `edgewright lab up --mirror ADDRESS`"
    PYTHON_MISSING = "python-missing", "a toolchain needs a Python that was not found", "install it, or name it with --python PATH"
    TOOL_MISSING = "tool-missing", "a program or Python package is not installed on this machine", "install it as the hint says"
    TOOLCHAIN_BROKEN = "toolchain-broken", "a toolchain was installed and does not work", "install it again with another --python"
    TOOLCHAIN_FAILED = "toolchain-failed", "a toolchain could not be installed", "try another --python, or look at pip's settings"
    TOOLCHAIN_MACHINE = "toolchain-machine", "a toolchain has no wheels for this machine", "convert on a machine that the hint names"
    TOOLCHAIN_MISSING = "toolchain-missing", "a toolchain is not installed", "`edgewright toolchain install NAME`"
    USAGE = "usage", "the command line, or a file that the user wrote, does not say something valid", "read the help of the command: --help"
