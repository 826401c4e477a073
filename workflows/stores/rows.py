"""Results as rows of plain values, and conditions that they meet."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .result import Result

Row = dict[str, Any]
Kind = Literal["numbers", "texts"]
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}


def flat(result: Result) -> Row:
    """Flatten a result into plain values: key, function, status, what it is about, scalars, message, cost."""
    fingerprint = result.provenance.get("fingerprint") or {}
    return {
        "key": result.key,
        "function": result.function,
        "status": result.status.value,
        **result.about,
        **({"potential": fingerprint["name"]} if fingerprint else {}),
        **{name: value if _number(value) else None for name, value in result.scalars.items()},
        "message": result.message,
        "force_calls": result.force_calls,
        "wall_s": result.wall_s,
        "device": result.provenance.get("device"),
        "created": result.provenance.get("created"),
    }


def _number(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def kind_of(value: Any) -> Kind | None:
    """Return what a value is searched and sorted as; nothing for a list, say."""
    return "texts" if isinstance(value, str) else "numbers" if isinstance(value, int | float) else None


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return every column that rows have, in order."""
    return list(dict.fromkeys(name for row in rows for name in row))


@dataclass(frozen=True)
class Condition:
    """A column, how it is compared, and with what.

    Attributes
    ----------
    name
        The column.
    compare
        One of `OPERATORS`.
    value
        A number, 1 or 0 for true or false, or a text.
    """

    name: str
    compare: str
    value: float | str

    @classmethod
    def read(cls, text: str) -> Condition:
        """Read a condition such as ``metal=K`` or ``vs_bulk_eV<-0.5``.

        Raises
        ------
        ValueError
            If it is none.
        """
        match = re.fullmatch(r"\s*(\w+)\s*(<=|>=|!=|<|>|=)\s*(.*?)\s*", text)
        if not match or match[3].startswith("="):
            raise ValueError(f"`{text}` is no condition: give a column, one of {' '.join(OPERATORS)} and a value")
        condition = cls(match[1], match[2], _value(match[3]))
        if "*" in match[3] and condition.pattern is None:
            raise ValueError(f"`{text}` is no condition: * stands for any characters after = and != only")
        return condition

    @property
    def pattern(self) -> re.Pattern[str] | None:
        """What a text must match, where the value has a ``*``."""
        if not isinstance(self.value, str) or "*" not in self.value or self.compare not in ("=", "!="):
            return None
        return re.compile(".*".join(map(re.escape, self.value.split("*"))), re.DOTALL)

    @property
    def kind(self) -> Kind:
        """Whether it compares texts or numbers; true and false are numbers."""
        return "texts" if isinstance(self.value, str) else "numbers"

    def __call__(self, ours: Any) -> Any:
        """Compare a value, or a column of a database."""
        return OPERATORS[self.compare](ours, self.value)

    def met_by(self, row: Mapping[str, Any]) -> bool:
        """Whether a row has the column, with a value of the kind, and it compares as asked."""
        ours = row.get(self.name)
        if kind_of(ours) != self.kind:
            return False
        if self.pattern:
            return bool(self.pattern.fullmatch(str(ours))) == (self.compare == "=")
        return bool(self(ours))


def _value(text: str) -> float | str:
    if text.lower() in ("true", "false"):
        return float(text.lower() == "true")
    try:
        return float(text)
    except ValueError:
        return text


def in_order(results: Iterable[Result], name: str, largest_first: bool) -> list[Result]:
    """Sort by a column: numbers, texts, and last what has neither; what is equal by key."""
    found: dict[Kind | None, list[tuple[Any, str, Result]]] = {"numbers": [], "texts": [], None: []}
    for result in results:
        value = flat(result).get(name)
        kind = kind_of(value)
        found[kind].append((value if kind else 0, result.key, result))
    return [
        result
        for group in found.values()
        for *_, result in sorted(group, key=operator.itemgetter(0, 1), reverse=largest_first)
    ]
