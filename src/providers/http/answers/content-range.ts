/** Reads the headers Range and Content-Range, and computes with sets of byte ranges. Pure. */

/** Half-open byte range: `start` ≤ byte < `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A Content-Range header such as `bytes 0-99/1000`; `total` is null for `*`. Undefined when it is not one. */
export function parseContentRange(value: string | undefined): (Span & { readonly total: number | null }) | undefined {
  const match = /^\s*bytes\s+(\d+)-(\d+)\/(\d+|\*)\s*$/i.exec(value ?? '');
  if (match === null) return undefined;
  const start = Number(match[1]);
  const end = Number(match[2]) + 1;
  const total = match[3] === '*' ? null : Number(match[3]);
  if (end <= start || (total !== null && end > total)) return undefined;
  return { start, end, total };
}

/**
 * The `Range` header of an upload's status: `0-99, 200-299`, with or without `bytes=`, in any order, overlapping or
 * not. Ranges that make no sense are dropped: bytes that may not be stored are sent again.
 */
export function parseRangeList(value: string | readonly string[] | undefined): Span[] {
  const text = Array.isArray(value) ? value.join(',') : String(value ?? '');
  const spans: Span[] = [];
  for (const part of text.split(',')) {
    const match = /^\s*(?:bytes\s*[=:\s]\s*)?(\d+)\s*-\s*(\d+)\s*(?:\/.*)?$/i.exec(part);
    if (match === null) continue;
    const start = Number(match[1]);
    const end = Number(match[2]) + 1;
    if (end > start) spans.push({ start, end });
  }
  return mergeSpans(spans);
}

/** The same bytes as sorted, disjoint ranges; adjacent ranges are joined. */
export function mergeSpans(spans: readonly Span[]): Span[] {
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else if (end > start) merged.push({ start, end });
  }
  return merged;
}

/** The ranges of `[0, size)` that `stored` does not cover. */
export function missingSpans(stored: readonly Span[], size: number): Span[] {
  const missing: Span[] = [];
  let at = 0;
  for (const span of mergeSpans(stored)) {
    if (span.start >= size) break;
    if (span.start > at) missing.push({ start: at, end: span.start });
    at = Math.max(at, span.end);
  }
  if (at < size) missing.push({ start: at, end: size });
  return missing;
}

/** Bytes of `[0, size)` that `stored` covers. */
export function coveredBytes(stored: readonly Span[], size: number): number {
  return missingSpans(stored, size).reduce((left, span) => left - (span.end - span.start), size);
}
