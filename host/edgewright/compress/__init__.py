"""Makes a network smaller before it is converted: prunes it, distils it, and trains it further."""
