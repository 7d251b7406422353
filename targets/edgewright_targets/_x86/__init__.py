"""Code for x86 CPUs that runners share; it is packed with them."""
