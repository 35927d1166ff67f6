/** Bytes of a file name on Linux. */
const MAX_NAME_BYTES = 255;

/**
 * The name of our content beside another client's: `NAME (conflict DATE HOST).EXT`, DATE in UTC to the second so that two
 * conflicts of one day do not meet.
 */
export function conflictName(name: string, time: Date, host: string): string {
  const date = time.toISOString().slice(0, 19).replace('T', ' ').replaceAll(':', '-');
  const mark = ` (conflict ${date} ${host.replaceAll('/', '_')})`;
  const dot = name.lastIndexOf('.');
  const extension = dot > 0 ? name.slice(dot) : '';
  let stem = dot > 0 ? name.slice(0, dot) : name;
  while (stem.length > 1 && Buffer.byteLength(stem + mark + extension) > MAX_NAME_BYTES) {
    stem = [...stem].slice(0, -1).join('');
  }
  return stem + mark + extension;
}
