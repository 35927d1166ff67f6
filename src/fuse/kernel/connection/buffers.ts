/**
 * Buffers for the content of reads, used again and again: each size class is a power of two from a page to the largest
 * request, and keeps a few. What concurrent readers need beyond that is made and left to the garbage collector.
 */
const smallest = 4096;
/** What one class may keep for later, bytes. */
const keptPerClass = 4 * 1024 * 1024;

export class BufferPool {
  readonly #free = new Map<number, Uint8Array[]>();

  /** At least `size` bytes, with anything in them. */
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
