"""What people read when a converter fails: the line with the reason, the layer, the log, and the alternatives."""

from __future__ import annotations

from pathlib import Path

import pytest
from flat_requests import compile_request

from edgewright import targets
from edgewright.compile.pipeline import compile_model
from edgewright.compile.request import CompileRequest
from edgewright.compile.workers import framework_errors
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError

OPENVINO = """Check 'false' failed at src/frontends/common_translators/src/unconverted_ops_report.cpp:151:
FrontEnd API failed with OpConversionFailure:
Model wasn't fully converted.
Summary:
-- No conversion rule found for operations: Det-17
"""
NODE = """Exception from src/core/src/validation_util.cpp:1:
Check 'merge' failed at src/core/src/op/util/binary.cpp:19:
While validating node 'opset1::MatMul MatMul_5 (x[0]:f64[1,4]) -> ()' with friendly_name 'dense':
Arguments do not have the same element type (arg0 element type: f64, arg1 element type: f32).
"""
DYNAMO = """Failed to convert the exported program to an ONNX model. \x1b[96mThis is step 3/3\x1b[0m of exporting. Next steps:
- Create an error report with `torch.onnx.export(..., report=True)`.

## Exception summary

<class 'torch.onnx._internal.exporter._errors.DispatchError'>: No ONNX function found for <OpOverload(op='aten._linalg_svd', overload='default')>. Failure message: No decompositions
"""
MLIR = """Could not translate MLIR to FlatBuffer.
<unknown>:0: error: loc(fused["Betainc:", "head/beta@__inference_serve_1"]): 'tf.Betainc' op is neither a custom op nor a flex op
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (OPENVINO, "No conversion rule found for operations: Det-17"),
        (NODE, "Arguments do not have the same element type (arg0 element type: f64, arg1 element type: f32), at dense"),
        (DYNAMO, "No ONNX function found for aten._linalg_svd"),
        ("Lowering not found: aten.digamma.default\n\nWhile executing %d", "Lowering not found: aten.digamma.default"),
        ("\x1b[31mred\x1b[0m.\nmore", "red"),
        ("Exception from src/a.cpp:1", "Exception from src/a.cpp:1"),
        ("\n \n", ""),
        ("x" * 900, "x" * framework_errors.MOST),
    ],
)  # fmt: skip
def test_the_telling_line(text: str, line: str) -> None:
    assert framework_errors.line_of(text) == line
    assert framework_errors.telling(ValueError(text)) == (line or "ValueError")


def test_tensorflow_s_operator_is_named_though_its_line_is_not_the_first() -> None:
    assert "'tf.Betainc' op is neither" in framework_errors.line_of(MLIR)


def test_the_user_s_own_line_is_named_and_no_library_s(tmp_path: Path) -> None:
    own = tmp_path / "net.py"
    own.write_text("\n\n\n")
    library = framework_errors.__file__
    text = f'Failed:\n  File "{library}", line 9, in f\n  File "{own}", line 3, in forward\n  File "{library}", line 8, in g\n'
    assert framework_errors.position(ValueError(text)) == ", at net.py:3"
    assert framework_errors.position(ValueError(f'File "{library}", line 9, in f')) == ""


def test_what_else_there_is_stands_before_the_log() -> None:
    for hint, whole in (
        ("do it; log: /a/b.log", "do it; else; log: /a/b.log"),
        ("log: /c", "else; log: /c"),
        ("do it", "do it; else"),
        ("see the catalog: it has it", "see the catalog: it has it; else"),
        ("see the catalog: it; log: /c", "see the catalog: it; else; log: /c"),
    ):
        error = ConversionError("no", hint=hint)
        framework_errors.with_ways(error, "else")
        assert error.hint == whole
        framework_errors.with_ways(error, "")
        assert error.hint == whole


def determinant(path: Path) -> Path:
    """`Det(x @ w)`: ONNX Runtime knows it, OpenVINO does not."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save

    weights = numpy_helper.from_array(np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Det", ["y"], ["d"], name="det")]
    x, d = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 4, 4]), ("d", [1]))
    )
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [d], [weights]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    save(model, path)
    return path


def test_where_the_hint_names_a_target_no_others_are_named(workers: Workers, tmp_path: Path) -> None:
    """Neither OpenVINO nor LiteRT have the operators of scalers and trees, though both take ONNX."""
    from onnx import TensorProto, helper, save

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "xy"]
    scaler = helper.make_node(
        "Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[1.0, 2.0], scale=[0.5, 0.5]
    )
    graph = helper.make_graph([scaler], "g", ends[:1], ends[1:])
    imports = [helper.make_opsetid("ai.onnx.ml", 1)]
    save(helper.make_model(graph, opset_imports=imports, ir_version=8), tmp_path / "scaler.onnx")
    request = compile_request(source=tmp_path / "scaler.onnx", target="openvino", precision="fp32")
    with pytest.raises(
        ConversionError, match=r"operators that OpenVINO does not have: ai\.onnx\.ml\.Scaler$"
    ) as caught:
        compile_model(request, workers=workers)
    assert caught.value.hint == (
        "take --target onnxruntime, or write them in operators of ai.onnx before exporting (hummingbird-ml does so for trees)"
    )


def test_openvino_s_operator_the_log_and_other_targets_are_named(workers: Workers, tmp_path: Path) -> None:
    request = compile_request(source=determinant(tmp_path / "det.onnx"), target="openvino", precision="fp32")
    with pytest.raises(ConversionError) as caught:
        compile_model(request, workers=workers)
    assert caught.value.message.endswith("No conversion rule found for operations: Det-17")
    others = [
        name for name in targets.names() if "cpu" in targets.load(name).accelerators and name != "openvino"
    ]
    assert {"onnxruntime", "tflite"} <= set(others)
    assert caught.value.hint == (
        f"another target may take it: --target {', '.join(others[:-1])} or {others[-1]}; log: {workers.log}"
    )
    assert "unconverted_ops_report" in workers.log.read_text()


MODULE = """
import torch

class Spectrum(torch.nn.Module):
    def forward(self, x):
        return torch.linalg.svd(x.reshape(1, 2, 2))[1]

class Branch(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(4, 4)
    def forward(self, x):
        y = self.dense(x)
        if y.sum() > 1000:
            return y * 0
        return y

class Sized(Branch):
    def forward(self, x):
        return self.dense(x) + (1 if x.shape[1] > 3 else 0)

def spectrum():
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Sequential(torch.nn.ReLU(), Spectrum()))
    return net.eval(), (torch.zeros(1, 4),)

def branch():
    return Branch().eval(), (torch.zeros(1, 4),)

def sized():
    return Sized().eval(), (torch.zeros(1, 4),)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("tflite", "litert-torch refused the model: it has no way to convert _linalg_svd"),
        ("openvino", "No conversion rule found for operations: aten._linalg_svd.default"),
        ("onnxruntime", "opset 13, 14, 17: Exporting the operator 'aten::linalg_svd' to ONNX is not supported; "
         "opset 18: No ONNX function found for aten._linalg_svd"),
    ],
)  # fmt: skip
def test_the_layer_of_a_module_is_named(workers: Workers, tmp_path: Path, target: str, said: str) -> None:
    (tmp_path / "net.py").write_text(MODULE)
    request = compile_request(source=Path(f"{tmp_path}/net.py:spectrum"), target=target, precision="fp32")
    with pytest.raises(ConversionError) as caught:
        compile_model(request, workers=workers)
    assert caught.value.message.endswith(f"{said}, in layer 1.1, at net.py:6")
    assert ("export it to ONNX" in caught.value.hint) == (
        target != "onnxruntime"
    )  # which takes that route already
    assert caught.value.hint.endswith(f"; log: {workers.log}")


@pytest.mark.slow
def test_a_branch_on_values_is_named_with_its_line(workers: Workers, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(MODULE)

    def request(function: str, target: str) -> CompileRequest:
        return compile_request(source=Path(f"{tmp_path}/net.py:{function}"), target=target, precision="fp32")

    with pytest.raises(ConversionError, match=r", at net\.py:14$") as caught:
        compile_model(request("branch", "openvino"), workers=workers)
    assert caught.value.hint.startswith(framework_errors.BRANCHES)
    notes = [note for note in compile_model(request("branch", "onnxruntime"), workers=workers).manifest.notes]
    assert notes == [
        "net.py:14 branches on a tensor's value: the artifact always takes the branch of the example"
    ]
    assert compile_model(request("sized", "onnxruntime"), workers=workers).manifest.notes == ()
