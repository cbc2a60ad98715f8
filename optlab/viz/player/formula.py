"""A surface's formula: the common part of TeX as MathML, in nested lists of ``[tag, attributes, *children]``.

Lists rather than markup, because the page builds elements from them and no string is ever parsed as HTML.
"""

import re
from typing import Any

Node = list[Any]

# TeX name = character.
SYMBOLS = dict(
    re.findall(
        r"(\S+)=(\S)",
        """
        alpha=α beta=β gamma=γ delta=δ epsilon=ε varepsilon=ε eta=η theta=θ kappa=κ lambda=λ mu=μ nu=ν xi=ξ pi=π rho=ρ
        sigma=σ tau=τ phi=φ varphi=φ omega=ω ell=ℓ infty=∞ cdot=· times=× pm=± le=≤ leq=≤ ge=≥ geq=≥ ne=≠ neq=≠
        approx=≈ sum=∑ prod=∏ ldots=… cdots=⋯ dots=… to=→ in=∈ lvert=| rvert=| vert=| lVert=‖ rVert=‖ Vert=‖ |=‖ {={ }=}
        """,
    )
)
TOKEN = re.compile(r"\\[A-Za-z]+|\\[^A-Za-z]|[0-9]+(?:\.[0-9]+)?|\S")
IGNORED = re.compile(r"\\([,;:!> ]|quad|qquad|displaystyle|limits|left|right|[bB]ig[lr]?|mathbf|boldsymbol)")
FUNCTION = re.compile("sin|cos|tan|sinh|cosh|tanh|arctan|exp|log|ln|min|max|sign")
WORD = re.compile("text|mathrm|operatorname|textrm")
CLOSING = {"(": ")", "[": "]"}


def mathml(tex: str) -> Node | None:
    """``f(x, y) = tex``, or ``tex`` alone if it begins with f; None where it holds anything unknown."""
    source = tex.strip("$")
    if not re.match(r"f\s*\(", source):
        source = f"f(x, y) = {source}"
    try:
        return _node("math", _Parser(source).row(""))
    except (ValueError, RecursionError):  # unknown, or nested a hundred deep
        return None


def _node(tag: str, *children: Node | str, **attributes: str) -> Node:
    return [tag, attributes, *children]


class _Parser:
    def __init__(self, source: str) -> None:
        self.tokens: list[str] = [token for token in TOKEN.findall(source) if not IGNORED.fullmatch(token)]
        self.tokens.reverse()  # the next one is the last, to be popped

    @property
    def next(self) -> str:
        return self.tokens[-1] if self.tokens else ""

    def take(self, expected: str = "") -> str:
        if not self.tokens or (expected and self.next != expected):
            raise ValueError(f"expected {expected or 'more'}, got {self.next!r}")
        return self.tokens.pop()

    def row(self, end: str) -> Node:
        items = []
        while self.next != end:
            items.append(self.scripted())
        if end:
            self.take(end)
        return _node("mrow", *items)

    def scripted(self) -> Node:
        base = self.atom()
        marks: dict[str, Node] = {}
        while self.next and self.next in "^_" and self.next not in marks:
            mark = self.take()
            marks[mark] = self.atom()
        tag = {"": "", "^": "msup", "_": "msub"}.get("".join(marks), "msubsup")
        return _node(tag, base, *(marks[mark] for mark in "_^" if mark in marks)) if tag else base

    def atom(self) -> Node:
        token = self.take()
        if token == "{":
            return self.row("}")
        if token in CLOSING:  # a pair of brackets is one base, so that a power after it belongs to all of it
            inside = self.row(CLOSING[token])
            return _node("mrow", _node("mo", token), inside, _node("mo", CLOSING[token]))
        if token[0] == "\\":
            return self.command(token[1:])
        if token[0].isdecimal():
            return _node("mn", token)
        if token.isalpha():
            return _node("mi", token)
        if token not in "-+*/=,.|<>!;:'":
            raise ValueError(f"unknown TeX: {token}")
        return _node("mo", {"-": "−", "*": "·"}.get(token, token))

    def command(self, name: str) -> Node:
        if name in ("frac", "tfrac", "dfrac"):
            return _node("mfrac", self.atom(), self.atom())
        if name == "sqrt":
            return _node("msqrt", self.atom())
        if WORD.fullmatch(name):
            self.take("{")
            word = ""
            while self.next != "}":
                word += self.take()
            self.take("}")
            return _node("mtext", word)
        if FUNCTION.fullmatch(name):
            # An operator, so that cos x has its space, with or without a power on cos.
            return _node("mo", name, lspace="0.14em", rspace="0" if self.next in CLOSING else "0.17em")
        if name not in SYMBOLS:
            raise ValueError(f"unknown TeX: {name}")
        return _node("mi" if SYMBOLS[name].isalpha() or name == "infty" else "mo", SYMBOLS[name])
