"""Write the OpenAPI document of the control plane, without a running server.

    python tools/openapi.py FILE            the document, as `/openapi.json` answers it
    python tools/openapi.py --types FILE    the same for type generators: a field with a default is always there
                                            in an answer, and may be left out of a request

The console's types come from the second form (`make types`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plinth.api.app import create_app
from plinth.bootstrap.platform import Platform

Node = dict[str, Any]
SCHEMA = "#/components/schemas/"


def document() -> Node:
    with tempfile.TemporaryDirectory(prefix="plinth-openapi-") as home:
        return create_app(Platform.open(Path(home))).openapi()


def with_certain_answers(doc: Node) -> Node:
    """Fields with a default become required in the schemas that only answers use."""
    schemas = doc["components"]["schemas"]
    operations = [operation for path in doc["paths"].values() for operation in path.values()]
    asked = _closure(schemas, (operation.get("requestBody", {}) for operation in operations))
    for name, schema in schemas.items():
        if name not in asked:
            defaults = {field for field, rule in schema.get("properties", {}).items() if "default" in rule}
            schema["required"] = sorted({*schema.get("required", ()), *defaults})
    return doc


def _closure(schemas: Node, roots: Iterator[Node]) -> set[str]:
    waiting, found = [name for root in roots for name in _references(root)], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_references(schemas[name]))
    return found


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith(SCHEMA):
            yield reference.removeprefix(SCHEMA)
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the control plane's OpenAPI document")
    parser.add_argument("file", type=Path)
    parser.add_argument("--types", action="store_true", help="for type generators")
    options = parser.parse_args()
    doc = with_certain_answers(document()) if options.types else document()
    options.file.write_text(json.dumps(doc, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
