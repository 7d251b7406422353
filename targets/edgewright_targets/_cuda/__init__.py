"""What runners share about NVIDIA GPUs; packed with them."""
