/**
 * A pool of buffers for the content of reads. Each size class is a power of two, from a page to the largest request, and
 * keeps a few buffers. If concurrent reads need more, new buffers are allocated and later garbage-collected.
 */
const smallest = 4096;
/** Bytes that one size class may keep for reuse. */
const keptPerClass = 4 * 1024 * 1024;

export class BufferPool {
  readonly #free = new Map<number, Uint8Array[]>();

  /** A buffer of at least `size` bytes. It may contain old data. */
  take(size: number): Uint8Array {
    let length = smallest;
    while (length < size) length *= 2;
    return this.#free.get(length)?.pop() ?? Buffer.allocUnsafeSlow(length);
  }

  give(buffer: Uint8Array): void {
    let free = this.#free.get(buffer.length);
    if (free === undefined) {
      free = [];
      this.#free.set(buffer.length, free);
    }
    if ((free.length + 1) * buffer.length <= keptPerClass) free.push(buffer);
  }
}
