"""MACE models: files of your own and the foundation models mace-torch knows."""
