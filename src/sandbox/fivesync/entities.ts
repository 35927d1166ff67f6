/** A file as the document's answers show it. */
import { mimeType } from '../content/mime.js';
import { iso } from './clock.js';
import type { FileRecord } from './records.js';

/** What an upload answers. */
export function briefly({ id, name, size, encrypted, created }: FileRecord): object {
  return { id, name, size, encrypted, created: iso(created) };
}

/** What `GET /files/:id` answers. */
export function fully(file: FileRecord): Record<string, unknown> {
  const { id, name, size, dir, encrypted, versions, created, modified } = file;
  const dates = { created: iso(created), modified: iso(modified) };
  return { id, name, size, mime_type: mimeType(name), path: dir, encrypted, versions, ...dates };
}
