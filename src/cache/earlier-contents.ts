/**
 * The segments that earlier mounts left in the cache and that this mount has not used yet. So all of them are older than those that it
 * has used. They come in any order, and a heap has the oldest at its top: sorting a hundred thousand would block the event loop.
 */
import type { Segment } from './blocks.js';

interface Earlier {
  readonly key: string;
  /** When a mount last used the revision, ms. */
  readonly usedAt: number;
  /** Bytes of each segment; 0: none, or taken. Arrays, because there may be a hundred thousand small revisions. */
  readonly segments: number[];
}

export class EarlierContents {
  /** Bytes that all segments together take on the disk. */
  bytes = 0;
  readonly #charge: (bytes: number) => number;
  readonly #byKey = new Map<string, Earlier>();
  /** Has all entries of `#byKey`, and stale ones that were removed from it. */
  readonly #heap: Earlier[] = [];

  /** `charge`: the bytes on the disk that a segment of so many bytes takes. */
  constructor(charge: (bytes: number) => number) {
    this.#charge = charge;
  }

  add(key: string, usedAt: number, segments: readonly number[]): void {
    const entry = { key, usedAt, segments: [...segments] };
    for (const bytes of segments) if (bytes > 0) this.bytes += this.#charge(bytes);
    this.#byKey.set(key, entry);
    this.#push(entry);
  }

  /** Removes a segment. Returns its bytes, or 0 if it is not here. */
  take(key: string, segment: number): number {
    const entry = this.#byKey.get(key);
    const bytes = entry?.segments[segment] ?? 0;
    if (entry === undefined || bytes === 0) return 0;
    entry.segments[segment] = 0;
    this.bytes -= this.#charge(bytes);
    if (entry.segments.every((left) => left === 0)) this.#byKey.delete(key);
    return bytes;
  }

  /** Removes all segments of a revision. */
  forget(key: string): void {
    const { length } = this.#byKey.get(key)?.segments ?? [];
    for (let segment = 0; segment < length; segment++) this.take(key, segment);
  }

  /** The first segment of the least recently used revision that is not in use. */
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
