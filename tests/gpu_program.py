"""A program that takes memory of a real GPU, by the driver's own library: it needs no framework."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Its arguments: the GPU's number as CUDA counts, and MiB to take. It leaves its parent, as a stranger has
# another one, says its process id once it has the memory, and stays until its input ends.
PROGRAM = """
import ctypes, os, sys
if os.fork():
    os._exit(0)
os.setsid()
cuda = ctypes.CDLL("libcuda.so.1")
def call(name, *words):
    if error := getattr(cuda, name)(*words):
        sys.exit(f"{name}: error {error}")
device, context, pointer = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
call("cuInit", 0)
call("cuDeviceGet", ctypes.byref(device), int(sys.argv[1]))
call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
call("cuCtxSetCurrent", context)
if mib := int(sys.argv[2]):
    call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(mib << 20))
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@contextmanager
def take_memory(mib: int, *, number: int = 0) -> Iterator[int]:
    """Run the program; `mib` of 0 is a context alone. Gives its process id."""
    command = [sys.executable, "-c", PROGRAM, str(number), str(mib)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        yield int(parent.stdout.readline())
        parent.stdin.close()
        parent.stdout.read()  # ends with the program
