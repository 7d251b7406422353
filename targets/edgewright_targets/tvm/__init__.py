"""ONNX models as machine code, compiled by Apache TVM for the CPU of a board. Experimental."""
