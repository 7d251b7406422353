"""The Python API that the command line and other programs call. `import edgewright` exports the public names."""
