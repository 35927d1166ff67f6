/**
 * An entry: the metadata of one name in a folder of the account that the service cannot hold. It is one line of a pack.
 * docs/metadata-format.md describes its fields for other programs.
 */
import { z } from 'zod';
import { isEntryOnly } from './held/entry-only.js';
import type { LogicalTime } from './logical-time.js';

const wholeNumber = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const base64 = z.string().regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/);
/** Seconds since the epoch, and nanoseconds within that second. */
const time = z.tuple([z.number().int().safe(), z.number().int().min(0).max(999_999_999)]);
/** Users and groups of Linux; the highest number means "none". */
const owner = z.number().int().min(0).max(0xfffffffe);

/** A name, with the ids and names of the folders on the way to it: the root first, the name's own folder last. */
const place = z.object({
  folder: z.string().min(1),
  name: z.string().min(1),
  path: z.array(z.tuple([z.string().min(1), z.string().min(1)])).min(1),
});

export type NamePlace = z.infer<typeof place>;

const entrySchema = z.object({
  /** The service's id of the folder, or its path where folders have no ids. */
  folder: z.string().min(1),
  /** The object's name at the service; the name in the mount if the service has no object of it. */
  name: z.string().min(1),
  kind: z.enum(['file', 'directory', 'symlink', 'fifo', 'socket', 'character', 'block']),
  clock: z.tuple([wholeNumber, wholeNumber]),
  /** A tombstone: the name was removed, and older entries of it no longer count. */
  gone: z.literal(true).optional(),
  /** The service's id of the object. */
  id: z.string().min(1).optional(),
  /** The content that the times belong to: its size and md5, or its size and the service's time in ms. */
  size: wholeNumber.optional(),
  md5: z.string().optional(),
  modified: z.number().safe().optional(),
  /** Octal, with set-id and sticky bits: "0644", "4755". */
  mode: z
    .string()
    .regex(/^[0-7]{1,4}$/)
    .optional(),
  uid: owner.optional(),
  gid: owner.optional(),
  atime: time.optional(),
  mtime: time.optional(),
  ctime: time.optional(),
  /** All extended attributes, their values in base64. */
  xattrs: z.record(z.string(), base64).optional(),
  /** The target of a symbolic link; in `targetBase64` if it is not UTF-8. */
  target: z.string().min(1).optional(),
  targetBase64: base64.optional(),
  /** Major and minor number of a device. */
  rdev: z.tuple([wholeNumber, wholeNumber]).optional(),
  /** The further names of an inode with several names (hard links). */
  names: z.array(place).optional(),
  /** This name is a further name of an inode: `id` is the object of its first name, which holds the bytes. */
  alias: z.literal(true).optional(),
  /** The first name of an alias. */
  of: place.optional(),
  /** The name that a program gave the object, if the service keeps it under another name. */
  shown: z.string().min(1).optional(),
  /** The place where an object of the root belongs, if the service accepts it in the root only. */
  belongs: place.optional(),
});

/** Unknown fields stay in the entry: a later version of the program wrote them. */
export type MetadataEntry = z.infer<typeof entrySchema> & { readonly [field: string]: unknown };
export type EntryKind = MetadataEntry['kind'];
/** An entry to write: the store adds the clock. */
export type NewEntry = Omit<MetadataEntry, 'clock'> & Pick<MetadataEntry, 'folder' | 'name' | 'kind'>;

/** An entry with its logical time. */
export interface TimedEntry {
  readonly entry: MetadataEntry;
  readonly time: LogicalTime;
}

/** An entry with its line in the pack. */
export interface EntryLine {
  readonly entry: MetadataEntry;
  readonly line: string;
}

/** Null if the line is not an entry that this version understands. */
export function parseEntry(line: string): MetadataEntry | null {
  try {
    // The schema only checks. Its copy would lack the unknown fields, or take longer to make than all the rest.
    const entry: unknown = JSON.parse(line);
    return entrySchema.safeParse(entry).success ? (entry as MetadataEntry) : null;
  } catch {
    return null;
  }
}

/** Parses a line of our tables. `parseEntry` or `put` has checked it before. */
export function readEntry(line: string): MetadataEntry {
  return JSON.parse(line) as MetadataEntry;
}

/** True if the removal of one of the object's names must find the entry by `id`: it tells of hard links, or is the object itself. */
export function isSoughtByObject({ id, alias, names }: MetadataEntry): boolean {
  return id !== undefined && (alias === true || names !== undefined || isEntryOnly({ id }));
}

export function timeOf(entry: Pick<MetadataEntry, 'clock'>, machine: string): LogicalTime {
  const [wall, counter] = entry.clock;
  return { wall, counter, machine };
}

const knownFields: ReadonlySet<string> = new Set(Object.keys(entrySchema.shape));

/** The fields of an entry that this version of the format lacks. */
export function unknownFieldsOf(entry: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entry).filter(([field]) => !knownFields.has(field)));
}

/** The line of an entry: fields in the order of the format, so that equal entries have equal lines. */
export function lineOf(entry: MetadataEntry): string {
  const ordered: Record<string, unknown> = {};
  for (const field of knownFields) if (entry[field] !== undefined) ordered[field] = entry[field];
  const unknown = unknownFieldsOf(entry);
  for (const field of Object.keys(unknown).sort()) ordered[field] = unknown[field];
  return JSON.stringify(ordered);
}

/** True if both entries are equal apart from their clocks. */
export function isSameState(a: MetadataEntry, b: MetadataEntry): boolean {
  return lineOf({ ...a, clock: [0, 0] }) === lineOf({ ...b, clock: [0, 0] });
}
