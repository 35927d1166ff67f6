/** Which of several machines' entries counts. Pure: every reader of the same entries comes to the same result, in any order. */
import type { RemoteFile } from '../providers/provider.js';
import type { MetadataEntry, TimedEntry } from './entry.js';
import { isEntryOnly } from './held/entry-only.js';
import { compareTimes } from './logical-time.js';

/** The latest entry of each name of one folder; removals are among them. */
export function latestByName(entries: Iterable<TimedEntry>): Map<string, TimedEntry> {
  const latest = new Map<string, TimedEntry>();
  for (const timed of entries) {
    const other = latest.get(timed.entry.name);
    if (other === undefined || compareTimes(timed.time, other.time) > 0) latest.set(timed.entry.name, timed);
  }
  return latest;
}

/** The object, as far as entries are bound to it. */
export type BoundObject = Pick<RemoteFile, 'id' | 'size' | 'modified' | 'md5'>;

/**
 * Does the entry describe the content that the file has now? Then its times count. Where both name an md5, that decides; else
 * size and the service's time do, because nothing better is known.
 */
export function describesContent(entry: MetadataEntry, file: BoundObject): boolean {
  if (entry.size !== file.size) return false;
  if (entry.md5 !== undefined && file.md5 !== null) return entry.md5.toLowerCase() === file.md5.toLowerCase();
  return entry.modified !== undefined && entry.modified === file.modified;
}

/** What of an entry binds it to an object. */
export function bindingOf(file: BoundObject): Pick<MetadataEntry, 'id' | 'size' | 'md5' | 'modified'> {
  const { id, size, md5, modified } = file;
  // Nobody else knows its time.
  if (isEntryOnly(file)) return { id, size, modified };
  return md5 === null ? { id, size, modified } : { id, size, md5: md5.toLowerCase() };
}
