"""OpenVINO IR v10 on OpenVINO 2021.4, the last that drives the Intel NCS2."""
