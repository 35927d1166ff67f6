/** The `Content-Range` header of a chunk. */
import { badSize, malformed, missing } from '../errors.js';

/** "Content-Range: bytes {firstByteInclusive}-{lastByteInclusive}/{wholeFileSize}" of a chunk. Required. */
export function parseContentRange(header: string | undefined, size: number): { first: number; length: number } {
  if (header === undefined) throw missing('Content-Range');
  const match = header.match(/^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/);
  if (!match) throw malformed('Content-Range', `${header} is not bytes first-last/size`);
  const [first, last, total] = match.slice(1).map(Number) as [number, number, number];
  if (total !== size) throw badSize(`Content-Range says ${total} bytes, the upload was begun with ${size}.`);
  if (last < first || last >= total) throw malformed('Content-Range', `${header} is no range of ${total} bytes`);
  return { first, length: last - first + 1 };
}
