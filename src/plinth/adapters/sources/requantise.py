"""Child program: the GGUF that is served, from the GGUF that is delivered.

    python -m plinth.adapters.sources.requantise --gguf FILE [--template FILE] --work DIR --out DIR --name NAME

Every 4-bit tensor becomes Q8_0, everything else is copied byte for byte; the chat template is
replaced by ours. Why Q8_0: design/0003-serving-weights.md.
"""

from __future__ import annotations

import argparse
from math import prod
from pathlib import Path
from typing import Any

from plinth.adapters.sources import _child

RECIPE = "requantise-q8_0-1"
FILE_TYPE_MOSTLY_Q8_0 = 7
TEMPLATE_KEY = "tokenizer.chat_template"


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--gguf", "--work", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--template", type=Path)
    parser.add_argument("--name", required=True)
    arguments = parser.parse_args()
    template = arguments.template.read_text(encoding="utf-8") if arguments.template else None
    arguments.work.mkdir(parents=True)
    requantise(arguments.gguf, arguments.work / arguments.name, template)
    _child.finish(arguments.work, arguments.out, RECIPE)


def requantise(source: Path, target: Path, template: str | None) -> None:
    """Write `target` from `source`; `template` None keeps the file's own."""
    import gguf

    reader = gguf.GGUFReader(str(source))
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(str(target), architecture)
    skip = {"general.architecture", "general.file_type"} | ({TEMPLATE_KEY} if template else set())
    _copy_metadata(gguf, reader, writer, skip)
    writer.add_file_type(FILE_TYPE_MOSTLY_Q8_0)
    if template:
        writer.add_chat_template(template)
    for tensor in reader.tensors:
        shape, kind = _new_layout(gguf, tensor)
        writer.add_tensor_info(tensor.name, shape, tensor.data.dtype, prod(shape) * tensor.data.itemsize, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, tensor in enumerate(reader.tensors, start=1):
        # one tensor in memory at a time: the file's layout is already written
        writer.write_tensor_data(_new_data(gguf, tensor))
        _child.report(0.05 + 0.85 * done / len(reader.tensors))
    writer.close()


def _copy_metadata(gguf: Any, reader: Any, writer: Any, skip: set[str]) -> None:
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in skip:
            continue
        kind = field.types[0]
        if kind == gguf.GGUFValueType.ARRAY:
            writer.add_key_value(field.name, field.contents(), kind, sub_type=field.types[-1])
        else:
            writer.add_key_value(field.name, field.contents(), kind)


def _is_four_bit(gguf: Any, tensor: Any) -> bool:
    return tensor.tensor_type in (gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.Q4_1)


def _new_layout(gguf: Any, tensor: Any) -> tuple[tuple[int, ...], Any]:
    """(shape of the stored array, row-major; its ggml type)."""
    if not _is_four_bit(gguf, tensor):
        return tensor.data.shape, tensor.tensor_type
    q8_0 = gguf.GGMLQuantizationType.Q8_0
    rows_first = tuple(int(size) for size in reversed(tensor.shape))
    return gguf.quant_shape_to_byte_shape(rows_first, q8_0), q8_0


def _new_data(gguf: Any, tensor: Any) -> Any:
    if not _is_four_bit(gguf, tensor):
        return tensor.data
    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    return gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)


if __name__ == "__main__":
    _child.run(main)
