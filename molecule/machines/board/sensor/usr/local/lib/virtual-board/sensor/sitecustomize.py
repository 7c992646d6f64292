# ruff: noqa: INP001 - it lies alone in a directory of the device
"""Makes libcamera's virtual camera a sensor that takes its time, for the one process that has this in its path.

Frames are allocated by picamera2's own DmaHeap, in the heap that a rule of ours has to open: not in ordinary memory.
"""

import shims  # type: ignore[import-not-found]
from picamera2.dma_heap import DmaHeap  # type: ignore[import-not-found]


class HeapAllocator(shims.MemoryAllocator):  # type: ignore[misc]  # the shims are beside it on the device only
    """Frame buffers in a dma-buf heap, with the two planes of NV12 told apart."""

    def __init__(self) -> None:
        super().__init__()
        self._heap = DmaHeap()

    def memory_of(self, size: int) -> int:
        """Return a descriptor of `size` bytes; raises what picamera2 raises where no heap can be opened."""
        descriptor: int = self._heap.alloc("frame", size).release()
        return descriptor


shims.encode_as_a_pi_5()
shims.take_video_modes_for_raw_modes()
shims.allocate_with(HeapAllocator)
shims.Sensor().pace()
