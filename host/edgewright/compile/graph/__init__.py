"""Operations of a model's graph in any format: layers, and groups that stay in floats."""
