"""Checks a `torch.export` program before PyTorch opens it: parts of it are pickles, or Python that would be evaluated.

Only what torch.export itself writes is accepted, both archive members and strings of the program.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from edgewright.python_syntax import parse_expression

PROGRAM = (
    "serialized_exported_program.json"  # where torch 2.7 and older put it, in an archive without folders
)
_MEMBER = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/version|\.data/serialization_id|models/[^/]+\.json"
    r"|data/weights/weight_\d+|data/constants/tensor_\d+|data/(weights|constants)/[^/]+_(weights|constants)_config\.json"
    r"|data/(weights|constants|sample_inputs)/[^/]+\.pt|extra/.+"
)
_OLD_MEMBER = re.compile(
    r"version|serialized_(exported_program|state_dict|constants|example_inputs)\.(json|pt)"
)
_PAYLOAD = re.compile(r"(tensor|weight)_\d+")
_TEXT = re.compile(
    r"[^\"'\\\x00-\x1f\x7f-\x9f\u2028\u2029]*"
)  # safe inside quotes in the code that PyTorch generates
_TARGET = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|quantized|quantized_decomposed|torchao|torchvision|mkldnn|onednn)"
    r"\.((?!__|from_file)\w+|__i?(and|or|xor|lshift|rshift)__)(\.(?!__)\w+)?"
    r"|_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|not_|lshift|rshift)"
    r"|math\.(trunc|ceil|floor|sqrt)|torch\.sym_\w+|torch\._C\._set_grad_enabled"
    r"|torch\.amp\.autocast_mode\._(enter|exit)_autocast",
    re.ASCII,
)
_FREE = ("as_string", "as_strings", "torch_version", "metadata")  # PyTorch treats these as plain strings only
_MAPS = (  # fields whose keys are names from the program
    "tensor_values", "sym_int_values", "sym_float_values", "sym_bool_values", "custom_obj_values", "range_constraints",
    "as_string_to_argument", "treespec_namedtuple_fields", "opset_version", "config",
)  # fmt: skip

# the syntax of sizes and guards
_FORMULA = re.compile(r"[\w .,'=()\[\]+\-*/%<>!&|~]*", re.ASCII)
_WORD = re.compile(r"\w+|-?\d[\d.e+-]*", re.ASCII)
_NODES = (
    ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.Attribute, ast.Subscript, ast.BinOp,
    ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Tuple, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
_METHODS = ("size", "stride", "shape", "storage_offset", "floor", "ceil", "trunc", "sqrt", "isnan")
_CALLS = re.compile(
    r"Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Abs|(Python)?Mod|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality"
    r"|(Strict)?(Less|Greater)Than|Not|And|Or|floor|ceiling|sqrt|Piecewise|ExprCondPair|Where|ModularIndexing|Identity"
    r"|(Floor|Ceil|Clean|True|IntTrue|FloatTrue)Div|[LR]Shift|(Floor|Ceil|Trunc|Round)To(Int|Float)|ToFloat"
    r"|max|min|abs|int|float|bool|round|PowByNatural|FloatPow|RoundDecimal|IsNonOverlappingAndDenseIndicator|(OpaqueUnary|Bitwise)Fn_\w+",
    re.ASCII,
)


def strange(names: Sequence[str], read: Callable[[str], bytes]) -> str:
    """The archive member or string that torch.export would not write; empty if there is none.

    Args:
        names: the archive's members, without their common folder.
        read: returns the bytes of a member.
    """
    known = _OLD_MEMBER if PROGRAM in names else _MEMBER
    seen: set[str] = set()
    for name in names:
        if not known.fullmatch(name) or name.lower() in seen:  # PyTorch finds members regardless of case
            return name
        seen.add(name.lower())
    for name in names:
        if name.endswith(".json") and not name.startswith("extra/"):
            try:
                found = next(_strange(json.loads(read(name)), ""), None)
            except (ValueError, RecursionError):
                return name
            if found is not None:
                return found or name
    return ""


def _strange(value: Any, field: str) -> Iterator[str]:
    """The strings that torch.export would not write; `field` is the field that holds them."""
    if isinstance(value, dict):
        for name, item in value.items():
            if not _TEXT.fullmatch(name):
                yield name
            elif field in _MAPS:
                yield from _strange(item, "")
            elif name in _FREE:
                yield from () if _only_texts(item) else [name]
            else:
                yield from _strange(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _strange(item, field)
    elif isinstance(value, str) and not _CHECKS.get(field, _plain)(value):
        yield value


def _only_texts(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return all(item is None or isinstance(item, str) for item in items)


def _plain(text: str) -> bool:
    return _TEXT.fullmatch(text) is not None


def _name(text: str) -> bool:
    return not text or (text.isidentifier() and text.isascii())


def _formula(text: str) -> bool:
    """Whether it is arithmetic on sizes, which PyTorch evaluates as Python."""
    if not _FORMULA.fullmatch(text):
        return False
    try:
        nodes = list(ast.walk(parse_expression(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, _NODES) and _harmless(node) for node in nodes)


def _harmless(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return _CALLS.fullmatch(name) is not None
        case ast.Call(func=function):
            return isinstance(function, ast.Attribute)
        case ast.Attribute(attr=name):
            return name in _METHODS
        case ast.Name(id=name):
            return not name.startswith("__")
        case ast.Constant(value=str(text)):
            return _WORD.fullmatch(text) is not None
    return True


def _structure(text: str) -> bool:
    """Whether it describes the structure of inputs or outputs with plain keys, which imports nothing."""
    try:
        return _plain_keys(json.loads(text))
    except (ValueError, RecursionError):
        return False


def _plain_keys(value: Any) -> bool:
    if isinstance(value, dict):
        imports = "__enum__" in value or value.get("default_factory_module", "builtins") != "builtins"
        return not imports and all(_plain(name) and _plain_keys(item) for name, item in value.items())
    if isinstance(value, list):
        return all(_plain_keys(item) for item in value)
    if isinstance(value, str) and value[:1] in ('"', "[", "{"):  # a container's keys, as JSON within JSON
        return _structure(value)
    return not isinstance(value, str) or _plain(value)


_CHECKS: dict[str, Callable[[str], bool]] = {
    "expr_str": _formula, "guards_code": _formula, "in_spec": _structure, "out_spec": _structure,
    "name": _name, "as_name": _name, "forward_arg_names": _name, "field_names": _name, "user_input_name": _name,
    "target": lambda text: _TARGET.fullmatch(text) is not None,
    "as_operator": lambda text: _TARGET.fullmatch(text) is not None,
    "path_name": lambda text: _PAYLOAD.fullmatch(text) is not None,
}  # fmt: skip
