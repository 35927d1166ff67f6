/**
 * The segments that earlier mounts have left in the cache and that nobody has used since: all of them are older than what this mount uses.
 * They come in any order, and the oldest is at the top of a heap: to sort a hundred thousand of them would hold up everybody else.
 */
import type { Segment } from './blocks.js';

interface Earlier {
  readonly key: string;
  /** When a mount last used the revision, ms. */
  readonly usedAt: number;
  /** Bytes of each segment; 0: none, or not here any more. Arrays, as there may be a hundred thousand small ones. */
  readonly segments: number[];
}

export class EarlierContents {
  /** What the segments take on the disk together, bytes. */
  bytes = 0;
  readonly #charge: (bytes: number) => number;
  readonly #byKey = new Map<string, Earlier>();
  /** Has all of `#byKey`, and what was in it. */
  readonly #heap: Earlier[] = [];

  /** `charge`: what a segment of so many bytes takes on the disk. */
  constructor(charge: (bytes: number) => number) {
    this.#charge = charge;
  }

  add(key: string, usedAt: number, segments: readonly number[]): void {
    const entry = { key, usedAt, segments: [...segments] };
    for (const bytes of segments) if (bytes > 0) this.bytes += this.#charge(bytes);
    this.#byKey.set(key, entry);
    this.#push(entry);
  }

  /** Takes a segment away; answers its bytes, 0 where it is not here. */
  take(key: string, segment: number): number {
    const entry = this.#byKey.get(key);
    const bytes = entry?.segments[segment] ?? 0;
    if (entry === undefined || bytes === 0) return 0;
    entry.segments[segment] = 0;
    this.bytes -= this.#charge(bytes);
    if (entry.segments.every((left) => left === 0)) this.#byKey.delete(key);
    return bytes;
  }

  /** Takes all segments of a revision away. */
  forget(key: string): void {
    const { length } = this.#byKey.get(key)?.segments ?? [];
    for (let segment = 0; segment < length; segment++) this.take(key, segment);
  }

  /** The first segment of the revision that was used least recently, of those that are not in use. */
  oldest(isInUse: (key: string) => boolean): Segment | undefined {
    const used: Earlier[] = [];
    let found: Segment | undefined;
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      const { key, segments } = top;
      if (this.#byKey.get(key) === top && !isInUse(key)) {
        const segment = segments.findIndex((bytes) => bytes > 0);
        found = { key, segment, bytes: segments[segment] ?? 0 };
        break;
      }
      this.#pop();
      if (this.#byKey.get(key) === top) used.push(top);
    }
    for (const entry of used) this.#push(entry);
    return found;
  }

  #push(entry: Earlier): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Earlier;
      if (above.usedAt <= entry.usedAt) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Earlier).usedAt < (heap[child] as Earlier).usedAt) child++;
      const below = heap[child] as Earlier;
      if (below.usedAt >= last.usedAt) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}
