"""The inputs and output of `infer`: names, real values, a picture, classes; for releases that this machine has, and others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]
CLASSES = ("dark\x1b[31m", "bright", "left", "right", "größe")


@pytest.fixture(scope="module")
def pictures(run: Run, tmp_path_factory: pytest.TempPathFactory, lab: Path) -> Path:
    """A folder with picture.png, and a release `pictures` on e-2 with integers at its ends, preprocessing and labels."""
    import onnx
    from onnx import helper, numpy_helper

    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(4)
    weights = random.normal(0, 0.3, (16, 5)).astype(np.float32)
    node, value = helper.make_node, helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            node("Conv", ["image", "filters"], ["c"]), node("Relu", ["c"], ["r"]), node("Flatten", ["r"], ["f"]),
            node("MatMul", ["f", "weights"], ["scores"]),
        ],
        "net", [value("image", 1, [1, 1, 4, 4])], [value("scores", 1, [1, 5])],
        [numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "filters"), numpy_helper.from_array(weights, "weights")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "net.onnx")
    np.savez(folder / "data.npz", image=random.uniform(0, 1, (64, 1, 4, 4)).astype(np.float32))
    pixels = random.integers(0, 256, (4, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "picture.png")
    np.save(folder / "right.npy", (pixels.reshape(1, 16) / 255) @ weights)
    (folder / "labels.txt").write_text("\n".join(CLASSES) + "\n", "utf-8")
    (folder / "edgewright.toml").write_text(
        'name = "pictures"\nmodel = "net.onnx"\nprecision = "int8"\ncalibration = "data.npz"\nlabels = "labels.txt"\n'
        '[conversion]\ninteger_io = true\n[preprocessing]\nscale = 0.00392156862745098\nchannels = "gray"\nlayout = "nchw"\n'
    )
    done = run(
        "deploy", "--project", folder / "edgewright.toml", "--to", "e-2", "--target", "onnxruntime", "--json"
    )
    assert done.code == 0, done.out + done.err
    return folder


def test_a_picture_gives_real_values_and_the_names_of_classes(
    run: Run, pictures: Path, tmp_path: Path
) -> None:
    saved, right = tmp_path / "out.npz", np.load(pictures / "right.npy")
    picture = ("infer", "pictures", "--on", "e-2", "--input", pictures / "picture.png")
    done = run(*picture, "--output", saved, "--json")
    assert done.code == 0, done.err
    result = done.json["boards"][0]["result"]
    assert result["shapes"] == {"scores": [1, 5]}
    assert np.allclose(result["outputs"]["scores"], right, atol=0.05)
    best = result["top"]["scores"][0]
    assert [one["index"] for one in best] == np.argsort(-right[0]).tolist()
    assert best[0]["label"] == ("dark[31m", *CLASSES[1:])[best[0]["index"]]
    with np.load(saved) as archive:
        assert archive.files == ["scores"] and archive["scores"].shape == (1, 1, 5)
    raw = run(*picture, "--raw", "--json").json["boards"][0]["result"]["outputs"]["scores"]
    assert all(isinstance(one, int) for one in raw[0][0])
    shown = run(*picture)
    rows = shown.out.splitlines()
    assert rows[1] == "  scores [1, 5]"
    assert [row.split()[0] for row in rows[2:7]] == [one["label"] for one in best]


def test_a_machine_without_the_artifact_asks_the_board(
    run: Run, pictures: Path, module_home: Path, tmp_path: Path
) -> None:
    picture = ("infer", "pictures", "--on", "e-2", "--input", pictures / "picture.png", "--json")
    here = run(*picture).json["boards"][0]["result"]
    objects = module_home / "artifacts" / "objects"
    objects.rename(tmp_path / "objects")
    try:
        there = run(*picture)
    finally:
        if objects.exists():
            objects.rmdir()
        (tmp_path / "objects").rename(objects)
    assert there.code == 0, there.err
    found = there.json["boards"][0]["result"]
    assert {**found, "ms": 0} == {**here, "ms": 0}


def test_members_are_paired_by_name(run: Run, pictures: Path, tmp_path: Path) -> None:
    def answer(**members: Any) -> Any:
        np.savez(tmp_path / "in.npz", **members)
        return run("infer", "pictures", "--on", "e-2", "--input", tmp_path / "in.npz", "--json")

    image = np.load(pictures / "data.npz")["image"][:2]
    wanted = answer(image=image, meta=np.zeros(3)).json["boards"][0]["result"]["outputs"]
    assert answer(x=image.astype(np.float64)).json["boards"][0]["result"]["outputs"] == wanted
    for members, said in (
        ({"one": image, "other": image}, "in.npz has no member for input image: one, other"),
        ({"x": image, "other": image}, "in.npz has a member that is not an input: other, of x, other"),
        (
            {"image": image[:, :, :3]},
            "wrong shape for input image: [2, 1, 3, 4] instead of [samples, 1, 1, 4, 4]",
        ),
        ({"image": image > 0}, "wrong dtype for input image: bool instead of"),
    ):
        done = answer(**members)
        error = done.json["boards"][0]["error"]
        assert done.code == 2 and said in error["message"] and error["hint"], done.out


def test_what_is_no_input_is_refused(run: Run, pictures: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes((pictures / "picture.png").read_bytes()[:40])
    done = run("infer", "pictures", "--on", "e-2", "--input", damaged, "--json")
    assert done.code == 2 and "image cannot be read" in done.json["boards"][0]["error"]["message"]
    for path, said in ((tmp_path, "the input is a folder"), (tmp_path / "none.npz", "no such input")):
        done = run("infer", "pictures", "--on", "e-2", "--input", path, "--json")
        assert done.code == 1 and said in done.error["message"]
    (pictures / "few.txt").write_text("one\ntwo\nthree\n")
    text = (pictures / "edgewright.toml").read_text().replace("labels.txt", "few.txt")
    (pictures / "few.toml").write_text(text)
    done = run("convert", "--project", pictures / "few.toml", "--target", "onnxruntime", "--json")
    assert done.code == 1, done.out
    assert done.error["message"] == "labels file has 3 classes, output scores has 5"
