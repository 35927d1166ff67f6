/** The two range headers of the protocol. */
import { badSize, malformed, missing } from '../errors.js';

/**
 * "Its also possible to specify only a range of bytes to be downloaded - using a range header." One range, as RFC 9110
 * has it; what it lets a server ignore (another unit, several ranges, nonsense) is ignored. Returns start and exclusive end.
 */
export function parseRange(
  header: string | undefined,
  size: number,
): [start: number, end: number] | 'unsatisfiable' | undefined {
  const match = header?.match(/^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i);
  if (!match) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '') {
    if (last === '') return undefined;
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : [size - length, size];
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return [start, last === '' ? size : Math.min(Number(last) + 1, size)];
}

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
