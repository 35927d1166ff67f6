/**
 * Decides which of several machines' entries of a name counts: the latest one, as a whole. Pure: all readers of the same entries come to
 * the same result, in any order.
 */
import type { RemoteFile } from '../providers/provider.js';
import type { MetadataEntry, TimedEntry } from './entry.js';
import { isEntryOnly } from './held/entry-only.js';
import { compareTimes } from './logical-time.js';

/** The latest entry of each name of one folder, removals included. */
export function latestByName(entries: Iterable<TimedEntry>): Map<string, TimedEntry> {
  const latest = new Map<string, TimedEntry>();
  for (const timed of entries) {
    const other = latest.get(timed.entry.name);
    if (other === undefined || compareTimes(timed.time, other.time) > 0) latest.set(timed.entry.name, timed);
  }
  return latest;
}

/** The fields of an object that an entry may be bound to. */
export type BoundObject = Pick<RemoteFile, 'id' | 'size' | 'modified' | 'md5'>;

/**
 * True if the entry describes the content that the file has now: only then do the entry's times count. If both have an md5, the md5
 * decides; else size and the service's time decide, because nothing better is known.
 */
export function describesContent(entry: MetadataEntry, file: BoundObject): boolean {
  if (entry.size !== file.size) return false;
  if (entry.md5 !== undefined && file.md5 !== null) return entry.md5.toLowerCase() === file.md5.toLowerCase();
  return entry.modified !== undefined && entry.modified === file.modified;
}

/** The fields that bind an entry to an object and its content. */
export function bindingOf(file: BoundObject): Pick<MetadataEntry, 'id' | 'size' | 'md5' | 'modified'> {
  const { id, size, md5, modified } = file;
  // The entry is the only place that has the file's time.
  if (isEntryOnly(file)) return { id, size, modified };
  return md5 === null ? { id, size, modified } : { id, size, md5: md5.toLowerCase() };
}
