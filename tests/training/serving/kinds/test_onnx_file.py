"""What is refused of an ONNX file before onnxruntime reads it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import TensorProto, helper  # noqa: E402

from tests.training.serving.kinds.foreign import AXIS, WIDTH, endless_nodes, model_of  # noqa: E402
from training.errors import ArchiveRefused  # noqa: E402
from training.serving.kinds.onnx_file import read_onnx  # noqa: E402
from training.serving.kinds.ports import Port, Ports  # noqa: E402

Change = Callable[[onnx.ModelProto], None]


def test_it_says_what_the_model_takes_and_gives() -> None:
    initialised = ("axis", TensorProto.INT64, [1])  # older files list weights among the inputs
    model = model_of(inputs=[("x", TensorProto.FLOAT, ["rows", WIDTH]), initialised])
    assert read_onnx(model.SerializeToString()) == Ports(
        (Port("x", "float32", (None, WIDTH)),), (Port("y", "float32", (None,)),)
    )


def test_a_classifier_of_scikit_learn_is_read() -> None:
    pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    x = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    model = LogisticRegression().fit(x, (x[:, 0] > 0).astype(int))
    ports = read_onnx(to_onnx(model, x[:1], options={"zipmap": False}).SerializeToString())
    assert [str(one) for one in ports.outputs] == ["label (int64 [N])", "probabilities (float32 [N, 2])"]
    assert str(read_onnx(to_onnx(model, x[:1]).SerializeToString()).outputs[1]) == "output_probability (sequence)"


def _custom_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("evil.ops", 1))


def _custom_node(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"


def _inner_custom_node(model: onnx.ModelProto) -> None:
    del model.graph.node[:]
    nodes = endless_nodes()
    nodes[-1].attribute[0].g.node[0].domain = "evil.ops"
    model.graph.node.extend(nodes)


def _external(tensor: TensorProto) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def _external_weight(model: onnx.ModelProto) -> None:
    _external(model.graph.initializer[0])


def _external_constant(model: onnx.ModelProto) -> None:
    tensor = TensorProto()
    tensor.CopyFrom(AXIS)
    _external(tensor)
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def _external_in_a_body(model: onnx.ModelProto) -> None:
    nodes = endless_nodes()
    tensor = nodes[-1].attribute[0].g.initializer.add()
    tensor.CopyFrom(AXIS)
    _external(tensor)
    model.graph.node.extend(nodes)


def _external_sparse(model: onnx.ModelProto) -> None:
    _external(model.graph.sparse_initializer.add().values)


def _functions(model: onnx.ModelProto) -> None:
    model.functions.add().name = "f"


def _training(model: onnx.ModelProto) -> None:
    model.training_info.add()


def _old(model: onnx.ModelProto) -> None:
    model.ir_version = 2


def _of_the_future(model: onnx.ModelProto) -> None:
    model.ir_version = 99


def _without_nodes(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


def _of_too_many_nodes(model: onnx.ModelProto) -> None:
    model.graph.node.extend([helper.make_node("Identity", ["x"], ["z"])] * 2**16)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_custom_domain, "it uses operators of the domain 'evil.ops'"),
        (_custom_node, "it uses ReduceSum of the domain 'com.microsoft'"),
        (_inner_custom_node, "it uses Identity of the domain 'evil.ops'"),
        (_external_weight, "its tensor 'axis' is in another file"),
        (_external_constant, "its tensor 'axis' is in another file"),
        (_external_in_a_body, "its tensor 'axis' is in another file"),
        (_external_sparse, "its tensor '' is in another file"),
        (_functions, "it has functions"),
        (_training, "it has functions, training steps"),
        (_old, "IR version 3 to 14, which are supported: it has version 2"),
        (_of_the_future, "it has version 99"),
        (_without_nodes, "and 0 nodes"),
        (_of_too_many_nodes, "more than 65,536 nodes"),
    ],
)
def test_a_file_that_is_more_than_standard_operators_is_refused(change: Change, says: str) -> None:
    model = model_of()
    change(model)
    with pytest.raises(ArchiveRefused) as refused:
        read_onnx(model.SerializeToString())
    assert says in str(refused.value)


def test_the_format_of_onnxruntime_is_refused_even_inside_valid_onnx() -> None:
    """onnxruntime decides by the bytes 4 to 7, and a name of the producer can put anything there."""
    data = b"\x08\x08\x12\x04ORTM" + model_of().SerializeToString()
    assert onnx.load_model_from_string(data).graph.node
    with pytest.raises(ArchiveRefused, match="it is in the format of onnxruntime"):
        read_onnx(data)


@pytest.mark.parametrize("data", [b"", b"no model", model_of().SerializeToString()[:-3]])
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(ArchiveRefused):
        read_onnx(data)


def test_the_schema_has_the_numbers_of_onnx() -> None:
    """Each field of our part of onnx.proto has the number, and the kind, that the library `onnx` gives it."""
    from training.serving.kinds import onnx_model_pb2

    for name, ours in onnx_model_pb2.DESCRIPTOR.message_types_by_name.items():
        theirs = onnx.ModelProto.DESCRIPTOR.file.message_types_by_name.get(name)
        if theirs is None:
            assert name == "Unread"
            continue
        for field in ours.fields:
            other = theirs.fields_by_name[field.name]
            assert (field.number, field.is_repeated) == (other.number, other.is_repeated), f"{name}.{field.name}"


def test_a_deep_nest_of_graphs_is_refused() -> None:
    model = model_of()
    graph = model.graph
    for _ in range(200):
        attribute = graph.node[0].attribute.add()
        attribute.name, attribute.type = "body", onnx.AttributeProto.GRAPH
        attribute.g.node.add().op_type = "If"
        graph = attribute.g
    with pytest.raises(ArchiveRefused, match="it is no ONNX file"):
        read_onnx(model.SerializeToString())
