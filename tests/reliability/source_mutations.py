"""The safeguards in front of source models and artifacts, as `mutations.Mutation` has them: name, file, old, new, tests."""

from __future__ import annotations

HOST, COMPILE = "host/edgewright/", "host/edgewright/compile/"
OPERATORS = "tests/sources/test_sources_operators.py::test_"
FILES = "tests/host/test_host_artifact_files.py::test_"
KERAS = "tests/sources/test_sources_recognise.py::test_a_keras_"

OF_SOURCES: list[tuple[str, str, str, str, tuple[str, ...]]] = [
    (
        "operators that reach files by their names",
        COMPILE + "inspection/unsafe_operators.py",
        "if named_unsafe(node.op) or (",
        "if (",
        (OPERATORS + "frozen_graphs_that_reach_beyond_the_model",),
    ),
    (
        "operators that reach files by an attribute",
        COMPILE + "inspection/unsafe_operators.py",
        '(harmless and not harmless.fullmatch(node.strings.get(attribute, b"")))',
        "False",
        (OPERATORS + "frozen_graphs_that_reach_beyond_the_model",),
    ),
    (
        "operators in functions of a graph",
        COMPILE + "inspection/graph_def.py",
        "        unsafe.update(unsafe_operators.unsafe(function.nodes))\n",
        "        pass\n",
        (OPERATORS + "frozen_graphs_that_reach_beyond_the_model",),
    ),
    (
        "savers of a SavedModel that save elsewhere",
        COMPILE + "inspection/saved_model_file.py",
        "if swapped or not allowed(meta, leading):",
        "if False:",
        (OPERATORS + "saved_models_that_reach_beyond_the_model",),
    ),
    (
        "--trust-model is the only way past",
        COMPILE + "inspection/model_trust.py",
        "    if trusted():\n",
        "    if True:\n",
        (OPERATORS + "frozen_graphs_that_reach_beyond_the_model",),
    ),
    (
        "nothing is trusted unless the user says so",
        COMPILE + "inspection/model_trust.py",
        'ContextVar("trusted", default=False)',
        'ContextVar("trusted", default=True)',
        (OPERATORS + "nothing_is_trusted_unless_the_user_says_so",),
    ),
    (
        "Keras: layers that hold code",
        COMPILE + "sources/keras_file.py",
        "for layer in _layers(config) if _is_code(layer)]",
        "for layer in () if _is_code(layer)]",
        (KERAS + "file_is_read_as_what_it_begins_with",),
    ),
    (
        "Keras: layers that read other files",
        COMPILE + "sources/keras_file.py",
        "for layer in _layers(config) if _names_a_file(layer)]",
        "for layer in () if _names_a_file(layer)]",
        (KERAS + "3_file_reads_no_other_file",),
    ),
    (
        "Keras: links to weights in other files",
        COMPILE + "sources/keras_file.py",
        "return name if isinstance(link, h5py.ExternalLink) else None",
        "return None",
        (KERAS + "file_has_all_of_its_weights",),
    ),
    (
        "Keras: weights stored in other files",
        COMPILE + "sources/keras_file.py",
        "isinstance(item, h5py.Dataset) and (item.external or item.is_virtual)",
        "False",
        (KERAS + "file_has_all_of_its_weights",),
    ),
    (
        "a source is a regular file",
        COMPILE + "recognition.py",
        "if path.exists() and not path.is_file():",
        "if False:",
        ("tests/sources/test_sources_weights_only.py::test_pipes_are_not_opened",),
    ),
    (
        "only regular files are opened on the host",
        HOST + "files.py",
        "if not stat.S_ISREG(os.fstat(descriptor).st_mode):",
        "if False:",
        (FILES + "a_pipe_with_the_right_bytes_is_no_file",),
    ),
    (
        "sizes before hashes",
        HOST + "store/artifacts.py",
        "size == item.size and ",
        "",
        (FILES + "sizes_come_before_hashes",),
    ),
    (
        "no link on the way to a file of an artifact",
        HOST + "files.py",
        "os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place",
        "os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place",
        (
            "tests/compile/test_compile_confinement_artifacts.py::test_a_file_that_became_a_link_after_the_look_is_refused",
        ),
    ),
    (
        "a file of an artifact is no link",
        HOST + "files.py",
        "link = 0 if follow else os.O_NOFOLLOW",
        "link = 0",
        (
            "tests/compile/test_compile_confinement_artifacts.py::test_a_file_that_became_a_link_after_the_look_is_refused",
        ),
    ),
]
