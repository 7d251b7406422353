"""Writes IR files, and says what one is. Host side."""

import re


def strip(model):
    """Removes what tools write about themselves and their runs: the same model has to give the same bytes."""
    for key in list(model.get_rt_info()):
        if key != "runtime_options":
            model.set_rt_info("", key)
    numbers = {}
    for operation in model.get_ordered_ops():
        name = re.sub(
            r"\b[A-Z][A-Za-z0-9]*_\d+",
            lambda found: f"{found[0].rsplit('_', 1)[0]}_{numbers.setdefault(found[0], len(numbers))}",
            operation.get_friendly_name(),
        )
        operation.set_friendly_name(name)


def described(work, method):
    """Names and dtypes as the file has them, and the IR version and the newest opset that were really written."""
    import openvino as ov

    path = work.folder / work.entry
    model = ov.Core().read_model(str(path))
    text = path.read_bytes()
    version = int(re.search(rb'<net [^>]*version="(\d+)"', text).group(1))
    opset = max(map(int, re.findall(rb'<layer [^>]*version="opset(\d+)"', text)), default=1)

    def spec(port, name):
        return {"name": name, "dtype": port.get_element_type().to_dtype().name}

    def ordered(ports, specs):
        by_name = {name: port for port in ports for name in port.get_names()}
        return [spec(by_name[item.name], item.name) for item in specs]

    return {
        "inputs": ordered(model.inputs, work.inputs),
        "outputs": ordered(model.outputs, work.outputs),
        "requires": {"ir": version, "ir_opset": opset},
        "method": method,
    }
