/** The `Range` header. */

/**
 * Parses one range as in RFC 9110. Returns its start and exclusive end. Returns undefined for what a server may ignore:
 * another unit, several ranges, or nonsense.
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
