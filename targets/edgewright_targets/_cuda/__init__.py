"""Code for NVIDIA GPUs that runners share; it is packed with them."""
