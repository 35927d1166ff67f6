/** `2026-11-29 08:00:00`, in this machine's time zone. `toLocaleString` would load the tables of all languages for it, 25 ms. */
export function localTime(ms: number): string {
  const at = new Date(ms);
  const two = (part: number): string => String(part).padStart(2, '0');
  const date = [String(at.getFullYear()).padStart(4, '0'), two(at.getMonth() + 1), two(at.getDate())].join('-');
  return `${date} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')}`;
}

/** The same to the minute. */
export function localMinute(ms: number): string {
  return localTime(ms).slice(0, 16);
}
