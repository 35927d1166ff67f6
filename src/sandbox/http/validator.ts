/** The headers by which a download says of which version it is. No document promises any; servers in general send them. */

export type Validator = 'etag' | 'last-modified' | 'none';

export function validatorHeaders(reading: Validator, blob: string, modified: number): Record<string, string> {
  if (reading === 'etag') return { etag: `"${blob}"` };
  return reading === 'none' ? {} : { 'last-modified': new Date(modified).toUTCString() };
}
