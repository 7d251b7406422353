"""OpenVINO IR v10 on OpenVINO 2021.4, the last release that supports the Intel NCS2."""
