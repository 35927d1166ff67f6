/** Schemas of the answers in the 5sync document, and their translation to the types of the provider contract. */
import { z } from 'zod';
import { entriesOf, idSchema, integerSchema, UncheckedEntries } from '../http/answers/entries.js';
import { timeIn, timeSchema } from '../http/answers/times.js';
import type { RemoteFile } from '../provider.js';

const id = idSchema;
const whole = integerSchema;
/** The counts in a page are only a hint. */
const count = integerSchema.nullish().catch(null);
const text = z.string().nullish();

/** In the document, answers of `PUT /files` and `…/complete` have neither path nor modified; it shows no list item at all. */
export const itemSchema = z.object({
  id,
  name: z.string(),
  size: whole.nullish(),
  path: text,
  created: timeSchema,
  modified: timeSchema,
});

export const pageSchema = z.union([
  z.object({ items: entriesOf(itemSchema), total: count, page: count, limit: count }),
  // Some servers write an empty list like this.
  z
    .object({ items: z.null(), total: z.literal(0), page: count, limit: count })
    .transform((page) => ({ ...page, items: new UncheckedEntries(itemSchema, []) })),
  entriesOf(itemSchema).transform((items) => ({ items, total: undefined, page: undefined, limit: undefined })),
]);

export const eventSchema = z.object({
  id: z.union([z.string(), z.number().transform(String)]),
  action: z.string(),
  timestamp: z.union([z.string(), z.number()]),
});

export const changesSchema = z.object({
  events: entriesOf(eventSchema).nullable(),
  cursor: text,
  has_more: z.boolean().nullish(),
});

export const startedSchema = z.object({ upload_id: id, chunk_size: whole.nullish(), expires: timeSchema });

export const partSchema = z.object({ part: z.number().nullish(), received: z.boolean().nullish() });

export type Item = z.infer<typeof itemSchema>;
/** A page of the list, without its bad entries. */
export interface Page {
  readonly items: readonly Item[];
  /** The number of its entries, including the bad ones. */
  readonly length: number;
  readonly total: number | null | undefined;
  readonly limit: number | null | undefined;
}
export type ChangeEvent = z.infer<typeof eventSchema>;

export const rootPath = '/';

/** One file in the index. */
export interface FileRecord {
  readonly id: string;
  /** Path of its folder, in normal form. */
  readonly folder: string;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** ms since the epoch. */
  readonly modified: number;
  readonly created: number;
}

/** A folder's path in normal form, which serves as its id: `/`, `/a`, `/a/b`. */
export function normalPath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  return rootPath + parts.join('/');
}

export function childPath(folder: string, name: string): string {
  return folder === rootPath ? rootPath + name : `${folder}/${name}`;
}

/** Null for the root. */
export function parentPath(folder: string): string | null {
  if (folder === rootPath) return null;
  const cut = folder.lastIndexOf('/');
  return cut <= 0 ? rootPath : folder.slice(0, cut);
}

export function baseName(folder: string): string {
  return folder.slice(folder.lastIndexOf('/') + 1);
}

/** Undefined if the item has no size: then it is not a complete file. `folder` is for items without a path. */
export function recordOf(item: Item, folder: string): FileRecord | undefined {
  if (item.size === null || item.size === undefined) return undefined;
  const created = timeIn(item.created);
  const modified = timeIn(item.modified);
  return {
    id: item.id,
    folder: hasPath(item) ? normalPath(item.path) : folder,
    name: item.name,
    size: item.size,
    modified: modified ?? created ?? 0,
    created: created ?? modified ?? 0,
  };
}

export function hasPath(item: Item): item is Item & { readonly path: string } {
  return typeof item.path === 'string';
}

export function fileOf(record: FileRecord): RemoteFile {
  const { id, folder, name, size, modified } = record;
  return { kind: 'file', id, parentId: folder, name, size, modified, md5: null, access: 'write' };
}
