/** Converts a file to the document's answers. */
import { mimeType } from '../content/mime.js';
import { iso } from './clock.js';
import type { FileRecord } from './records.js';

/** The answer to an upload. */
export function briefly({ id, name, size, encrypted, created }: FileRecord): object {
  return { id, name, size, encrypted, created: iso(created) };
}

/** The answer to `GET /files/:id`. */
export function fully(file: FileRecord): Record<string, unknown> {
  const { id, name, size, dir, encrypted, versions, created, modified } = file;
  const dates = { created: iso(created), modified: iso(modified) };
  return { id, name, size, mime_type: mimeType(name), path: dir, encrypted, versions, ...dates };
}
