"""The arithmetic of a multi grader: `0.7 * accuracy + 0.3 * min(style, 1)`.

Numbers, the names of sub-graders, `+ - * / ^` (or `**`), parentheses and the functions below.
A recursive-descent parser over its own tokens; nothing is ever handed to Python's `eval`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from plinth.evaluation.errors import GradingFailed, InvalidFormula

MAX_CHARACTERS = 1000
MAX_DEPTH = 40

FUNCTIONS: dict[str, tuple[int, Callable[..., float]]] = {
    "abs": (1, abs),
    "ceil": (1, lambda value: float(math.ceil(value))),
    "exp": (1, math.exp),
    "floor": (1, lambda value: float(math.floor(value))),
    "log": (1, math.log),
    "max": (2, max),
    "min": (2, min),
    "sqrt": (1, math.sqrt),
}

_TOKEN = re.compile(r"\s*(?:([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?|\.[0-9]+)|([^\W\d]\w*)|(\*\*|[-+*/^(),]))")

Node = Callable[[Mapping[str, float]], float]


@dataclass(frozen=True)
class Formula:
    """`names` are the variables it reads."""

    text: str
    names: frozenset[str]
    _node: Node

    def evaluate(self, values: Mapping[str, float]) -> float:
        """A finite number. Raises `GradingFailed` where the arithmetic has no answer."""
        try:
            result = self._node(values)
        except (ArithmeticError, ValueError) as error:
            raise GradingFailed(reason=f"The formula '{self.text}' has no value here: {error}.") from error
        if isinstance(result, complex) or not math.isfinite(result):
            raise GradingFailed(reason=f"The formula '{self.text}' has no finite value here.")
        return float(result)


def parse(text: str) -> Formula:
    """Raises `InvalidFormula`."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidFormula(formula=text[:60] + "…", reason=f"it is longer than {MAX_CHARACTERS} characters.")
    parser = _Parser(text)
    node = parser.sum(0)
    if parser.peek() is not None:
        raise parser.error(f"'{parser.peek()}' was not expected.")
    return Formula(text, frozenset(parser.names), node)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._position = text, 0
        self._tokens = self._scan(text)
        self.names: set[str] = set()

    def error(self, reason: str) -> InvalidFormula:
        return InvalidFormula(formula=self._text, reason=reason)

    def peek(self) -> str | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def sum(self, depth: int) -> Node:
        node = self._product(depth)
        while (operator := self.peek()) in ("+", "-"):
            self._position += 1
            node = _binary(operator, node, self._product(depth))
        return node

    def _product(self, depth: int) -> Node:
        node = self._unary(depth)
        while (operator := self.peek()) in ("*", "/"):
            self._position += 1
            node = _binary(operator, node, self._unary(depth))
        return node

    def _unary(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.error("it is nested too deeply.")
        if self.peek() in ("-", "+"):
            sign = -1.0 if self._take() == "-" else 1.0
            operand = self._unary(depth + 1)
            return lambda values: sign * operand(values)
        return self._power(depth)

    def _power(self, depth: int) -> Node:
        base = self._primary(depth)
        if self.peek() not in ("^", "**"):
            return base
        self._position += 1
        return _binary("^", base, self._unary(depth + 1))

    def _primary(self, depth: int) -> Node:
        token = self._take()
        if token == "(":  # noqa: S105 - a parenthesis, not a password
            node = self.sum(depth + 1)
            self._expect(")")
            return node
        if token[0] in "0123456789.":
            number = float(token)
            return lambda values: number
        if not token.isidentifier():
            raise self.error(f"'{token}' was not expected.")
        if self.peek() == "(":
            return self._call(token, depth)
        self.names.add(token)
        return lambda values: values[token]

    def _call(self, name: str, depth: int) -> Node:
        if name not in FUNCTIONS:
            raise self.error(f"there is no function '{name}'; there are {', '.join(FUNCTIONS)}.")
        self._expect("(")
        arguments = [self.sum(depth + 1)]
        while self.peek() == ",":
            self._position += 1
            arguments.append(self.sum(depth + 1))
        self._expect(")")
        least, function = FUNCTIONS[name]
        if len(arguments) < least or (least == 1 and len(arguments) > 1):
            raise self.error(f"'{name}' was given {len(arguments)} values.")
        return lambda values: function(*(argument(values) for argument in arguments))

    def _take(self) -> str:
        token = self.peek()
        if token is None:
            raise self.error("it ends too early.")
        self._position += 1
        return token

    def _expect(self, wanted: str) -> None:
        if self.peek() != wanted:
            raise self.error(f"'{wanted}' is missing.")
        self._position += 1

    def _scan(self, text: str) -> list[str]:
        tokens: list[str] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                raise self.error(f"'{text[position:].strip()[:1]}' is not allowed.")
            tokens.append(match[0].strip())
            position = match.end()
        return tokens


def _binary(operator: str, left: Node, right: Node) -> Node:
    if operator == "+":
        return lambda values: left(values) + right(values)
    if operator == "-":
        return lambda values: left(values) - right(values)
    if operator == "*":
        return lambda values: left(values) * right(values)
    if operator == "/":
        return lambda values: left(values) / right(values)
    return lambda values: left(values) ** right(values)
