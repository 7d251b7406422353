"""Confinement of workers that open strangers' files: no network, few files. A process confines itself before it starts threads."""
