/** A set of byte positions, kept as sorted, disjoint, non-touching ranges `[start, end)`. */
export class ExtentSet {
  #ranges: [number, number][] = [];

  static from(ranges: Iterable<readonly [number, number]>): ExtentSet {
    const set = new ExtentSet();
    for (const [start, end] of ranges) set.add(start, end);
    return set;
  }

  ranges(): readonly (readonly [number, number])[] {
    return this.#ranges;
  }

  /** Bytes in the set. */
  size(): number {
    return this.#ranges.reduce((sum, [start, end]) => sum + end - start, 0);
  }

  add(start: number, end: number): void {
    if (end <= start) return;
    const ranges = this.#ranges;
    const last = ranges.at(-1);
    // Appending is by far the most frequent case: no search, no splice.
    if (last === undefined || start > last[1]) {
      ranges.push([start, end]);
      return;
    }
    if (start >= last[0]) {
      if (end > last[1]) last[1] = end;
      return;
    }
    const from = this.#firstEndingAtOrAfter(start);
    let to = from;
    let low = start;
    let high = end;
    for (; to < ranges.length; to++) {
      const range = ranges[to] as [number, number];
      if (range[0] > end) break;
      low = Math.min(low, range[0]);
      high = Math.max(high, range[1]);
    }
    ranges.splice(from, to - from, [low, high]);
  }

  /** Removes everything at and after `end`. */
  truncate(end: number): void {
    const kept = this.#ranges.filter(([start]) => start < end);
    const last = kept.at(-1);
    if (last !== undefined && last[1] > end) last[1] = end;
    this.#ranges = kept;
  }

  has(start: number, end: number): boolean {
    if (end <= start) return true;
    const range = this.#ranges[this.#firstEndingAtOrAfter(start + 1)];
    return range !== undefined && range[0] <= start && range[1] >= end;
  }

  /** The parts of `[start, end)` that are not in the set, in order. */
  gaps(start: number, end: number): [number, number][] {
    const gaps: [number, number][] = [];
    let at = start;
    for (let i = this.#firstEndingAtOrAfter(start + 1); i < this.#ranges.length && at < end; i++) {
      const [low, high] = this.#ranges[i] as [number, number];
      if (low >= end) break;
      if (low > at) gaps.push([at, low]);
      at = Math.max(at, high);
    }
    if (at < end) gaps.push([at, end]);
    return gaps;
  }

  /** Index of the first range whose end is ≥ `position` (binary search). */
  #firstEndingAtOrAfter(position: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle] as [number, number])[1] < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
