"""Figures for files, in one style."""

from __future__ import annotations

from typing import Any

COLOURS = ("#332288", "#117733", "#882255", "#ddaa33", "#44aa99", "#cc6677", "#88ccee", "#999933")
"""That colour-blind people tell apart (P. Tol, 2021)."""

SIZE_IN = (4.8, 3.8)


def panels(rows: int, columns: int, width_in: float, height_in: float) -> tuple[Any, Any]:
    """Make a figure for a file, and its axes, shape ``(rows, columns)``, each of a size in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in * columns, height_in * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)
