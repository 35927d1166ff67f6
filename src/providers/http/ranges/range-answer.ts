/**
 * Reads the head of the answer to a ranged download. Pure. The documents allow a `Range` header and promise status 200
 * for every download; servers in general answer 206 with Content-Range, or ignore the header.
 */
import type { ByteRange } from '../../content.js';
import { header } from '../answers/answer.js';
import { parseContentRange } from '../answers/content-range.js';

export type RangeAnswer =
  /** `length` bytes of the file from `offset`. `unproven`: no header says which bytes they are, only the length fits. */
  | { readonly kind: 'bytes'; readonly offset: number; readonly length: number; readonly unproven: boolean }
  /** The file has another size now. */
  | { readonly kind: 'changed' }
  /** The answer does not match the request. */
  | { readonly kind: 'wrong'; readonly why: string }
  /** Either the file changed or the answer is wrong. The caller must look at the file's current state. */
  | { readonly kind: 'doubtful'; readonly why: string };

export function readRangeAnswer(
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  size: number,
  wanted: ByteRange,
): RangeAnswer {
  if (status === 416) return { kind: 'doubtful', why: 'the server says that there is no such range' };
  const encoding = header(headers, 'content-encoding');
  if (encoding !== undefined && encoding !== 'identity')
    return { kind: 'wrong', why: `content encoded as ${encoding}` };
  const lengthText = header(headers, 'content-length');
  const length = lengthText === undefined ? undefined : Number(lengthText);
  const rangeText = header(headers, 'content-range');
  if (rangeText !== undefined) {
    const range = parseContentRange(rangeText);
    if (range === undefined) return { kind: 'wrong', why: 'a Content-Range that is none' };
    if (range.total !== null && range.total !== size) return { kind: 'changed' };
    const bytes = range.end - range.start;
    if (range.start !== wanted.offset)
      return { kind: 'wrong', why: `bytes from ${range.start} instead of ${wanted.offset}` };
    if (bytes > wanted.length) return { kind: 'wrong', why: `${bytes} bytes instead of ${wanted.length}` };
    if (length !== undefined && length !== bytes)
      return { kind: 'wrong', why: 'Content-Range and Content-Length disagree' };
    return { kind: 'bytes', offset: range.start, length: bytes, unproven: false };
  }
  const whole = wanted.offset === 0 && wanted.length === size;
  if (length === size && !(status === 206 && !whole))
    return { kind: 'bytes', offset: 0, length: size, unproven: false };
  if (length === wanted.length) return { kind: 'bytes', offset: wanted.offset, length, unproven: true };
  if (length !== undefined) return { kind: 'doubtful', why: `${length} bytes, neither the range nor the file` };
  if (status === 206) return { kind: 'wrong', why: 'status 206 without Content-Range and Content-Length' };
  if (/^(text\/html|application\/json)\b/i.test(header(headers, 'content-type') ?? ''))
    return { kind: 'doubtful', why: 'a page instead of the file' };
  // Without any length, 200 has its plain HTTP meaning: the whole file.
  return { kind: 'bytes', offset: 0, length: size, unproven: false };
}
