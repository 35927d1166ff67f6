/** Policy: how a large upload is cut into chunks, and how many go at once. Pure functions, with tables in the tests. */
import type { Span } from '../http/answers/content-range.js';

const MiB = 1024 * 1024;

export interface ChunkPolicy {
  /** Bytes per request. */
  readonly chunkBytes: number;
  /** Bytes of the first request. It is short, so that we soon know how fast the connection is. */
  readonly firstBytes: number;
  /** Requests at once at the start. */
  readonly parallel: number;
  /** Requests at once on a fast connection. */
  readonly maxParallel: number;
}

/** A connection at least this fast makes us send more at once, bytes per ms: 8 MiB in a second, the round trip included. */
const fastBytesPerMs = (8 * MiB) / 1000;

/**
 * The policy for a content of `size` bytes.
 *
 * Eight chunks go at once, sixteen on a fast line. Sixteen connections fill a line of 400 MB/s if the server limits each
 * to 25 MB/s, and they leave half of the client's connections to other requests. On a slow line an interruption costs
 * eight chunks at most. With 8 MiB per chunk a round trip of 50 ms is less than a seventh of the chunk's time. The first
 * chunk has 2 MiB: we notice a fast line a quarter of a second earlier. Content of more than 1,000 such chunks gets larger
 * ones, so that the list of stored ranges stays short.
 */
export function chunkPolicy(size: number, chunkBytes?: number): ChunkPolicy {
  const whole = chunkBytes ?? Math.max(8 * MiB, Math.ceil(size / 1000 / MiB) * MiB);
  return {
    chunkBytes: whole,
    firstBytes: Math.min(2 * MiB, whole),
    parallel: 8,
    maxParallel: 16,
  };
}

/**
 * How many workers to add after a chunk of `bytes` took `tookMs` while `running` workers were sending. On a fast line it
 * doubles them, up to `maxParallel`. With one worker it adds none: the server wants the chunks one after the other.
 */
export function additionalParallel(policy: ChunkPolicy, running: number, bytes: number, tookMs: number): number {
  if (running === 1 || bytes < tookMs * fastBytesPerMs) return 0;
  return Math.max(0, Math.min(running, policy.maxParallel - running));
}

/** The chunks to send, in the order of the file: the first of at most `firstBytes`, the others of at most `chunkBytes`. */
export function planChunks(missing: readonly Span[], policy: Pick<ChunkPolicy, 'chunkBytes' | 'firstBytes'>): Span[] {
  const chunks: Span[] = [];
  for (const { start, end } of missing) {
    for (let at = start; at < end; ) {
      const to = Math.min(end, at + (chunks.length === 0 ? policy.firstBytes : policy.chunkBytes));
      chunks.push({ start: at, end: to });
      at = to;
    }
  }
  return chunks;
}
