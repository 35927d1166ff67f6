/** The headers that identify the version of a download. No document promises them, but most servers send them. */

export type Validator = 'etag' | 'last-modified' | 'none';

export function validatorHeaders(reading: Validator, blob: string, modified: number): Record<string, string> {
  if (reading === 'etag') return { etag: `"${blob}"` };
  return reading === 'none' ? {} : { 'last-modified': new Date(modified).toUTCString() };
}
