"""Check the file of a `torch.export` program before PyTorch loads it in a process of its own.

`torch.export.load` unpickles, evaluates sizes and guards as Python, imports classes that a tree names, and calls what a node names.
The check allows tensors, the operations of PyTorch itself, and sizes in arithmetic of whole numbers. It makes accidents and known
tricks visible; it does not replace trust, because PyTorch's loader is not made for hostile files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from training.errors import ArchiveRefused

from .archive import FOREIGN_GLOBALS, MAX_BYTES, SCHEMA, read_json, read_members, require_tensors
from .ports import Port, Ports

_MEMBER: Final = re.compile(
    r"models/model\.json|data/weights/(weight_[0-9]{1,5}|model_weights_config\.json)|"
    r"data/constants/(tensor_[0-9]{1,5}|model_constants_config\.json)|data/sample_inputs/model\.pt|"
    r"archive_format|archive_version|byteorder|\.data/version|\.data/serialization_id"
)
_TARGET: Final = re.compile(
    r"torch\.ops\.(aten|prims)\.[a-z_][a-z0-9_]{0,80}(\.[A-Za-z0-9_]{1,60})?|"
    r"torch\.ops\.higher_order\.(cond|while_loop|scan|map_impl)|"
    r"_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|getitem)|"
    r"math\.(ceil|floor|trunc|sqrt)|torch\.sym_(max|min|not|ite|float|sum|sqrt)"
)
_REFUSED_TARGET: Final = re.compile(r"torch\.ops\.aten\.(from_file|_print|_assert_async|set_)\b")
"""Operations of PyTorch that reach beyond the given tensors."""
_SIZE: Final = re.compile(
    r"(Symbol\('[a-z]{1,3}[0-9]{1,6}'|(positive|integer|nonnegative)=True|[su][0-9]{1,6}|[0-9]{1,18}|[-+*/%(),<>=! ]|"
    r"\b(Integer|Mul|Add|Pow|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not)\b)*"
)
_GUARD: Final = re.compile(
    r"(L\['[A-Za-z_][A-Za-z0-9_]{0,60}'\]|\.size\(\)|\[[0-9]{1,3}\]|[0-9]{1,18}|[-+*/%()<>=! ]|and|or|not)*"
)
_TREE_TYPES: Final = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})
_TYPES: Final = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64", 12: "bool",
    13: "bfloat16",
}  # fmt: skip


def read_torch_program(data: bytes) -> Ports:
    """Check the bytes of a `.pt2`; return what it takes and gives. Raises ArchiveRefused."""
    members = read_members(data, MAX_BYTES)
    roots = {name.partition("/")[0] for name in members}
    named = {name.partition("/")[2]: content for name, content in members.items()}
    if len(roots) != 1:
        raise ArchiveRefused("its members are not in one folder, as torch.export.save writes them")
    for name in named:
        if not _MEMBER.fullmatch(name):
            raise ArchiveRefused(f"it holds {name[:80]!r}, which torch.export.save does not write for plain tensors")
    if missing := {"models/model.json", "data/weights/model_weights_config.json"} - named.keys():
        raise ArchiveRefused(
            f"it has no {min(missing)!r}; save the program with torch.export.save of PyTorch 2.9 or later"
        )
    if "data/sample_inputs/model.pt" in named:
        require_tensors(named["data/sample_inputs/model.pt"], FOREIGN_GLOBALS)
    for config in ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json"):
        if config in named:
            _require_plain(read_json(named, config), config)
    graph = read_json(named, "models/model.json")
    try:
        if graph["schema_version"]["major"] != SCHEMA:
            raise ArchiveRefused(
                f"its graph has schema version {str(graph['schema_version'])[:80]}, but only {SCHEMA} is supported"
            )
        _require_data(graph)
        return _ports(graph["graph_module"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise ArchiveRefused(
            f"its graph is not as torch.export.save writes it ({type(error).__name__}: {error})"
        ) from None


def _require_plain(config: Mapping[str, Any], name: str) -> None:
    """Check that all weights or constants are tensors in members of their own."""
    entries = config.get("config")
    if not isinstance(entries, dict):
        raise ArchiveRefused(f"{name!r} is no table")
    for key, entry in entries.items():
        if not isinstance(entry, dict) or entry.get("use_pickle") is not False or not entry.get("tensor_meta"):
            raise ArchiveRefused(f"its tensor {key[:80]!r} is a pickle or an object: loading would run it")


def _require_data(graph: Mapping[str, Any]) -> None:
    """Check all that PyTorch would evaluate, import or call."""
    for guard in graph.get("guards_code") or ():
        if not _GUARD.fullmatch(guard):
            raise ArchiveRefused(f"it has the guard {guard[:80]!r}, which PyTorch would run as Python")
    for key, value in _pairs(graph):
        match key, value:
            case "target", str() if not _TARGET.fullmatch(value) or _REFUSED_TARGET.match(value):
                raise ArchiveRefused(f"its graph calls {value[:80]!r}, which is no allowed operation of PyTorch")
            case "expr_str", str() if not _SIZE.fullmatch(value):
                raise ArchiveRefused(f"it has the size {value[:80]!r}, which PyTorch would evaluate as Python")
            case ("as_custom_obj" | "as_operator" | "custom_obj" | "token", dict()):
                raise ArchiveRefused("it has objects of other classes than tensors")
            case ("in_spec" | "out_spec", str()):
                for of, kind in _pairs(json.loads(value)):
                    if of == "type" and kind not in _TREE_TYPES:
                        raise ArchiveRefused(
                            f"it takes or gives the type {str(kind)[:80]!r}, which PyTorch would import"
                        )


def _pairs(given: Any) -> Iterator[tuple[str, Any]]:
    """Yield each key and value of all objects in JSON."""
    waiting = [given]
    while waiting:
        match waiting.pop():
            case dict() as found:
                yield from found.items()
                waiting += found.values()
            case list() as found:
                waiting += found


def _ports(module: Mapping[str, Any]) -> Ports:
    metas = module["graph"]["tensor_values"]
    specs = module["signature"]
    spec = json.loads(module["module_call_graph"][0]["signature"]["in_spec"])[1]["children_spec"]
    positional, named = spec
    if named["children_spec"] or any(one["type"] is not None for one in positional["children_spec"]):
        raise ArchiveRefused("it takes inputs by keyword or in containers; export it with positional tensors only")

    def port(argument: Mapping[str, Any]) -> Port:
        name = argument["as_tensor"]["name"]
        sizes = tuple(size.get("as_int") for size in metas[name]["sizes"])
        return Port(str(name), _TYPES.get(metas[name]["dtype"], "another type"), sizes)

    inputs = tuple(port(one["user_input"]["arg"]) for one in specs["input_specs"] if "user_input" in one)
    return Ports(
        inputs, tuple(port(one["user_output"]["arg"]) for one in specs["output_specs"] if "user_output" in one)
    )
