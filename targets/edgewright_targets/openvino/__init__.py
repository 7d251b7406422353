"""OpenVINO IR on OpenVINO 2022.1 and later."""
