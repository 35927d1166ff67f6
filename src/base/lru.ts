import { LRUCache } from 'lru-cache';

/**
 * Keeps the `entries` most recently used values. It grows as it fills. With `max`, lru-cache would allocate for all of them at once, which
 * takes a twentieth of the CPU time of a mount's start.
 */
export function lruOf<Key extends {}, Value extends {}>(
  entries: number,
  dispose?: (value: Value, key: Key) => void,
): LRUCache<Key, Value> {
  return new LRUCache<Key, Value>({ maxSize: entries, sizeCalculation: () => 1, ...(dispose && { dispose }) });
}
