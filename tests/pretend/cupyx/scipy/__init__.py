"""What structes takes of CuPy's extensions, as the pretended `cupy`."""
