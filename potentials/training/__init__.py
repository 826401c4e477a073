"""What training has in common, whatever the model: frames, loss, loop. Only `loss` and `loop` import torch."""
