"""The list of attacks names tests that are there."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.attacks import ATTACKS


def test_each_attack_is_tried() -> None:
    root = Path(__file__).parent
    for attack, tests in ATTACKS.items():
        assert tests, attack
        for test in tests:
            file, _, name = test.partition("::")
            tree = ast.parse((root / file).read_text())
            functions = [
                node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            assert name in functions, f"{test} ({attack})"
