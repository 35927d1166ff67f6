/** How a server may speak HTTP, and write dates, where the documents are silent. A client must work with every value. */
export interface WireReadings {
  /** An interim answer that nobody asked for (RFC 9110, 15.2), before each answer. */
  interim: 'none' | '100' | '103';
  /** Whether a connection takes more than one request. */
  connections: 'kept' | 'closed';
  /** Whether an answer tells its length, or is chunked. */
  lengths: 'told' | 'untold';
  /** Whether JSON is compressed, although the client asked for `identity`. */
  coding: 'identity' | 'gzip';
  /** How times are written: in UTC as in the documents' examples, at another offset, or as a number (Unix seconds). */
  dates: 'utc' | 'offset' | 'number';
}

export const wireReadings: WireReadings = {
  interim: 'none',
  connections: 'kept',
  lengths: 'told',
  coding: 'identity',
  dates: 'utc',
};

/** `utc` is the time as the documents write it. */
export function dateOf({ dates }: WireReadings, utc: string): string | number {
  const time = Date.parse(utc);
  if (dates === 'number') return time / 1000;
  if (dates === 'utc') return utc;
  const hours = 2;
  return new Date(time + hours * 3600_000).toISOString().replace('Z', `+0${hours}:00`);
}
