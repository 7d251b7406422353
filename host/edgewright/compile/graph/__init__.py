"""Operations of a model's graph, whatever its format: layers, groups that stay in floats."""
