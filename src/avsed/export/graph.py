"""Build an ONNX graph node by node."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

OPSET = 17  # the first one with STFT; onnxruntime reads it from version 1.12
IR_VERSION = 8  # of that opset

Shape = tuple[str | int, ...]


class Graph:
    """The nodes and constants of a graph in the order of their computation.

    Values are named by strings, as in ONNX: the inputs of a node are names that `add`, `constant`
    or `input` returned.
    """

    def __init__(self) -> None:
        self._inputs: list[onnx.ValueInfoProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def input(self, name: str, shape: Shape, data_type: int = TensorProto.FLOAT) -> str:
        """Declare an input; dimensions with a name are dynamic."""
        self._inputs.append(helper.make_tensor_value_info(name, data_type, shape))
        return name

    def constant(self, values: Tensor | ArrayLike, data_type: type[Any] | None = None) -> str:
        """Add a constant, with the type of its values unless another is given."""
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
        array = np.ascontiguousarray(array, dtype=data_type).reshape(array.shape)
        name = f"constant_{len(self._constants)}"
        self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        name = f"{operator}_{len(self._nodes)}"
        output = output or name
        self._nodes.append(helper.make_node(operator, inputs, [output], name, **attributes))
        return output

    def build(self, outputs: Mapping[str, Shape], metadata: Mapping[str, str]) -> onnx.ModelProto:
        """Return the graph as a model.

        Args:
            outputs: name to shape of the values that the model returns.
            metadata: key to text, for `metadata_props`.
        """
        graph = helper.make_graph(
            self._nodes,
            "avsed",
            self._inputs,
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in outputs.items()
            ],
            [*self._constants.values()],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="avsed",
        )
        helper.set_model_props(model, dict(metadata))
        return model
