"""CHGNet's layers, computed in another order: same weights, same function, a third of the arithmetic.

CHGNet gathers the features of two bonds, an angle and an atom for every angle, joins them, and multiplies the
result by a weight matrix. A matrix times a joined vector is the sum of its blocks times the parts, so here
every bond and atom is multiplied once, before it is gathered for its many angles. Only the rounding differs;
the tests hold the result against chgnet's own calculator. Imported only when a CHGNet model is loaded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class BlockwiseGatedMLP(nn.Module):
    """A gated MLP on the parts of its joined input, each with the rows to gather (None: all, in order)."""

    def __init__(self, gated: Any) -> None:
        super().__init__()
        core, gate = gated.mlp_core.layers, gated.mlp_gate.layers
        first = next(i for i, layer in enumerate(core) if isinstance(layer, nn.Linear))
        weight = torch.cat([core[first].weight, gate[first].weight]).detach()
        width = core[-1].out_features
        self.blocks = [block.T.contiguous() for block in torch.split(weight, width, dim=1)]
        self.bias = torch.cat([core[first].bias, gate[first].bias]).detach()
        self.rest_of_core, self.rest_of_gate = core[first + 1 :], gate[first + 1 :]
        self.gated = gated

    def forward(self, parts: list[tuple[Tensor, Tensor | None]]) -> Tensor:
        """Return the gated message of every row."""
        joined: Tensor | None = None
        for (features, rows), block in zip(parts, self.blocks, strict=True):
            product = features @ block if joined is not None else torch.addmm(self.bias, features, block)
            product = product if rows is None else product.index_select(0, rows)
            joined = product if joined is None else joined.add_(product)
        assert joined is not None
        core, gate = joined.chunk(2, dim=1)
        core, gate = self.rest_of_core(core), self.rest_of_gate(gate)
        gated = self.gated
        message: Tensor = gated.activation(gated.bn1(core)) * gated.sigmoid(gated.bn2(gate))
        return message


class AtomLayer(nn.Module):
    """Messages along the bonds of every atom (chgnet's ``AtomConv``)."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.messages, self.mlp_out = BlockwiseGatedMLP(layer.twoBody_atom), layer.mlp_out

    def forward(
        self,
        atom_feas: Tensor,
        bond_feas: Tensor,
        bond_weights: Tensor,
        atom_graph: Tensor,
        directed2undirected: Tensor,
    ) -> Tensor:
        """Return the new atom features."""
        center, neighbour = (column.contiguous() for column in atom_graph.T)
        messages = self.messages([(atom_feas, center), (bond_feas, directed2undirected), (atom_feas, neighbour)])
        messages = messages * bond_weights.index_select(0, directed2undirected)
        new: Tensor = self.mlp_out(_sum_rows(messages, center, len(atom_feas))) + atom_feas
        return new


class BondLayer(nn.Module):
    """Messages along the angles of every bond (chgnet's ``BondConv``)."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.messages, self.mlp_out = BlockwiseGatedMLP(layer.twoBody_bond), layer.mlp_out

    def forward(
        self,
        atom_feas: Tensor,
        bond_feas: Tensor,
        bond_weights: Tensor,
        angle_feas: Tensor,
        bond_graph: Tensor,
    ) -> Tensor:
        """Return the new bond features."""
        atom, bond_i, bond_j = (column.contiguous() for column in bond_graph.T)
        messages = self.messages([(bond_feas, bond_i), (bond_feas, bond_j), (angle_feas, None), (atom_feas, atom)])
        messages = messages * bond_weights.index_select(0, bond_i) * bond_weights.index_select(0, bond_j)
        new: Tensor = self.mlp_out(_sum_rows(messages, bond_i, len(bond_feas))) + bond_feas
        return new


class AngleLayer(nn.Module):
    """New features of every angle (chgnet's ``AngleUpdate``)."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.messages = BlockwiseGatedMLP(layer.twoBody_bond)

    def forward(self, atom_feas: Tensor, bond_feas: Tensor, angle_feas: Tensor, bond_graph: Tensor) -> Tensor:
        """Return the new angle features."""
        atom, bond_i, bond_j = (column.contiguous() for column in bond_graph.T)
        parts = [(bond_feas, bond_i), (bond_feas, bond_j), (angle_feas, None), (atom_feas, atom)]
        new: Tensor = self.messages(parts) + angle_feas
        return new


def rearrange(model: Any) -> Any:
    """Give a loaded CHGNet 0.3.0 or r2scan the layers above, in place, and fix its weights."""
    model.atom_conv_layers = nn.ModuleList(AtomLayer(layer) for layer in model.atom_conv_layers)
    model.bond_conv_layers = nn.ModuleList(BondLayer(layer) for layer in model.bond_conv_layers)
    model.angle_layers = nn.ModuleList(AngleLayer(layer) for layer in model.angle_layers)
    return model.requires_grad_(False).eval()


def _sum_rows(rows: Tensor, owners: Tensor, n_owners: int) -> Tensor:
    """Sum the rows of every owner."""
    return rows.new_zeros(n_owners, rows.shape[1]).index_add_(0, owners, rows)
