import { LRUCache } from 'lru-cache';

/**
 * Keeps the `entries` that were used last. It grows as it fills: lru-cache would allocate for all of them at once, which at the start of a
 * mount takes a twentieth of its CPU time.
 */
export function lruOf<Key extends {}, Value extends {}>(
  entries: number,
  dispose?: (value: Value, key: Key) => void,
): LRUCache<Key, Value> {
  return new LRUCache<Key, Value>({ maxSize: entries, sizeCalculation: () => 1, ...(dispose && { dispose }) });
}
