/** Converts a file to the document's answers. */
import { mimeType } from '../content/mime.js';
import { dated } from './clock.js';
import type { FiveSyncReadings } from './options.js';
import type { FileRecord } from './records.js';

/** The answer to an upload. */
export function briefly({ id, name, size, encrypted, created }: FileRecord, readings: FiveSyncReadings): object {
  return { id, name, size, encrypted, created: dated(readings, created) };
}

/** The answer to `GET /files/:id`. */
export function fully(file: FileRecord, readings: FiveSyncReadings): Record<string, unknown> {
  const { id, name, size, dir, encrypted, versions, created, modified } = file;
  const dates = { created: dated(readings, created), modified: dated(readings, modified) };
  return { id, name, size, mime_type: mimeType(name), path: dir, encrypted, versions, ...dates };
}
