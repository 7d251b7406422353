"""Compression of PyTorch modules and torch.export programs."""
