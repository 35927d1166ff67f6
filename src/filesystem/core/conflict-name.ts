import { MAX_NAME_BYTES, withMark } from '../../tree/local-names.js';

/**
 * The name of our content beside another client's: `NAME (conflict DATE HOST).EXT`, DATE in UTC to the second so that two
 * conflicts of one day do not meet. At most `maxLength` UTF-16 units, and no more bytes than a directory can hold.
 */
export function conflictName(name: string, time: Date, host: string, maxLength = MAX_NAME_BYTES): string {
  const date = time.toISOString().slice(0, 19).replace('T', ' ').replaceAll(':', '-');
  return withMark(name, ` (conflict ${date} ${host.replaceAll('/', '_')})`, maxLength);
}
