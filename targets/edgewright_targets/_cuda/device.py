"""A board's NVIDIA GPUs, through CUDA's own library, for every runner that uses them. Python 3.6, standard library only."""

from edgewright_agent import shapes


def board() -> "dict[str, str]":
    """The properties of the board that an engine depends on, whatever runtime builds it: kind of GPU, Jetson's system."""
    try:
        compute = Cuda().compute_capability()
    except (OSError, ValueError):  # no GPU that answers
        compute = ""
    return {"compute": compute, "jetpack": jetpack()}


def installed() -> "list[int]":
    """The versions of TensorRT's own libraries, such as `[8502]`: its Python package may be missing, or of another version."""
    import ctypes

    found = set()
    for name in ("", ".11", ".10", ".8"):
        try:
            found.add(int(ctypes.CDLL("libnvinfer.so" + name).getInferLibVersion()))
        except (OSError, AttributeError):
            continue
    return sorted(found)


def jetpack() -> "str":
    """The release of Jetson's system, such as R32.7.1, which is different for each JetPack; empty on other boards."""
    try:
        with open("/etc/nv_tegra_release") as file:
            words = file.readline().replace(",", " ").split()
        return "%s.%s" % (words[1], words[words.index("REVISION:") + 1])
    except (OSError, ValueError, IndexError):
        return ""


class Cuda:
    """The functions of CUDA's runtime library that runners need.

    Raises:
        OSError: the library is missing. The methods raise ValueError with CUDA's own message.
    """

    NAMES = ("", ".13", ".12", ".11.0", ".10.2")
    MAJOR, MINOR = 75, 76  # cudaDevAttrComputeCapabilityMajor, -Minor
    TO_BOARD, FROM_BOARD = 1, 2  # cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost

    def __init__(self) -> "None":
        import ctypes

        self._ctypes = ctypes
        self._library = self._open()
        self._library.cudaGetErrorString.restype = ctypes.c_char_p

    def _open(self) -> "shapes.Native":
        for folder in ("", "/usr/local/cuda/lib64/"):
            for name in self.NAMES:
                try:
                    return self._ctypes.CDLL("%slibcudart.so%s" % (folder, name))
                except OSError:
                    continue
        raise OSError("CUDA's runtime library, libcudart, is not installed")

    def _check(self, code: "int", what: "str") -> "None":
        if code:
            text = self._library.cudaGetErrorString(self._ctypes.c_int(code)).decode("ascii", "replace")
            raise ValueError("CUDA failed to %s: %s" % (what, text))

    def devices(self) -> "int":
        """The number of GPUs that work."""
        count = self._ctypes.c_int(0)
        code = self._library.cudaGetDeviceCount(self._ctypes.byref(count))
        return 0 if code else count.value

    def compute_capability(self) -> "str":
        """The first GPU's compute capability, such as 7.2."""
        numbers = []
        for attribute in (self.MAJOR, self.MINOR):
            value, kind = self._ctypes.c_int(0), self._ctypes.c_int(attribute)
            code = self._library.cudaDeviceGetAttribute(
                self._ctypes.byref(value), kind, self._ctypes.c_int(0)
            )
            self._check(code, "say what the GPU can do")
            numbers.append("%d" % value.value)
        return ".".join(numbers)

    def allocate(self, size: "int") -> "int":
        """Allocates bytes of GPU memory; returns their address."""
        address = self._ctypes.c_void_p()
        code = self._library.cudaMalloc(self._ctypes.byref(address), self._ctypes.c_size_t(size))
        self._check(code, "give %d bytes, out of memory" % size)
        return address.value or 0

    def copy(self, to: "int", source: "int", size: "int", direction: "int") -> "None":
        """Copies bytes between addresses; waits for the GPU."""
        pointer, whole = self._ctypes.c_void_p, self._ctypes.c_size_t
        code = self._library.cudaMemcpy(
            pointer(to), pointer(source), whole(size), self._ctypes.c_int(direction)
        )
        self._check(code, "copy")

    def free(self, address: "int") -> "None":
        """Frees GPU memory."""
        self._library.cudaFree(self._ctypes.c_void_p(address))

    def buffer(self, size: "int") -> "shapes.Buffer":
        """(memory of this process, its address)."""
        memory = (self._ctypes.c_char * size)()
        return memory, self._ctypes.addressof(memory)
