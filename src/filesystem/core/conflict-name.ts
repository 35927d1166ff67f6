import { randomBytes } from 'node:crypto';
import { otherNameMark } from '../../providers/names.js';
import { MAX_NAME_BYTES, withMark } from '../../tree/local-names.js';

/**
 * The name of our content beside another client's: `NAME (conflict DATE HOST).EXT`, DATE in UTC to the second so that two
 * conflicts of one day do not meet. At most `maxLength` UTF-16 units, and no more bytes than a directory can hold.
 */
export function conflictName(name: string, time: Date, host: string, maxLength = MAX_NAME_BYTES): string {
  const date = time.toISOString().slice(0, 19).replace('T', ' ').replaceAll(':', '-');
  return withMark(name, ` (conflict ${date} ${host.replaceAll('/', '_')})`, maxLength);
}

/** Longest name that we give if the service may cut names, UTF-16 units. */
const LONGEST_NAME = 200;

/** `NAME (~3f2a91).EXT`: the name at a service that takes NAME for the name of another object. */
export function otherName(name: string, maxLength: number): string {
  return withMark(name, otherNameMark(randomBytes(3).toString('hex')), Math.min(maxLength, LONGEST_NAME));
}
