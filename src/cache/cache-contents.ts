import type { StateDatabase } from '../base/sqlite.js';
import { BlockMap, blockCount, encodedBytes, segmentOf } from './blocks.js';
import type { CachedRevision } from './cached-revision.js';

/** Rows of the index that are read at a time: the map of a film has tens of KiB. */
const ROWS_AT_A_TIME = 100;

/** The cached part of one revision. */
export interface CachedContent {
  readonly key: string;
  /** Bytes of the revision, and how many of them are present. */
  readonly size: number;
  readonly bytes: number;
}

/**
 * Everything in the cache, to show to people. It comes some rows at a time, so that the caller can yield the event loop in between.
 * `open`: revisions that are being read. Their maps are newer than their rows.
 */
export function* cachedContents(
  { sql }: Pick<StateDatabase, 'sql'>,
  open: ReadonlyMap<string, CachedRevision>,
): Generator<CachedContent[], void> {
  const page = sql.prepare('SELECT key, size, blocks FROM revision WHERE key > ? ORDER BY key LIMIT ?').raw();
  for (let last = ''; ; ) {
    const rows = page.all(last, ROWS_AT_A_TIME) as [string, number, Uint8Array | null][];
    yield rows.flatMap(([key, size, blocks]) => {
      const map = open.get(key)?.map ?? mapOf(blocks, size);
      const bytes = map === null ? 0 : bytesOf(map, size);
      return bytes === 0 ? [] : [{ key, size, bytes }];
    });
    last = rows.at(-1)?.[0] ?? '';
    if (rows.length < ROWS_AT_A_TIME) return;
  }
}

/** Bytes of the present blocks of a revision of `size` bytes. */
export function bytesOf(map: BlockMap, size: number): number {
  let bytes = 0;
  for (let segment = 0; segment <= segmentOf(map.count); segment++) bytes += map.bytesOf(segment, size);
  return bytes;
}

/** Bytes of the present blocks of each segment, from the row of a revision. Null if the row cannot be trusted. */
export function segmentsOf(blocks: Uint8Array | null, size: number): number[] | null {
  const map = mapOf(blocks, size);
  if (map === null) return null;
  return Array.from({ length: segmentOf(map.count) + 1 }, (_, segment) => map.bytesOf(segment, size));
}

/** Null: the process died while it wrote blocks, or the row is damaged. */
function mapOf(blocks: Uint8Array | null, size: number): BlockMap | null {
  const count = blockCount(size);
  return blocks?.byteLength === encodedBytes(count) ? new BlockMap(count, blocks) : null;
}
