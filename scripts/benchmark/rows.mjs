// The rows of the table. `measure` returns for one contender a number in `unit`. It returns `{ figure, requests, bytes, stall }` if these
// cover only a part of its work, null if the row does not apply to the contender, or a text with the reason why the row is left out.
import { lookRows } from './rows/looks.mjs';
import { nameRows } from './rows/names.mjs';
import { readRows } from './rows/reads.mjs';
import { serviceRows } from './rows/services.mjs';
import { writeRows } from './rows/writes.mjs';

/** The rows for `sizes`, in groups. The rows of a group depend on each other and run in this order. Smaller is better unless `more`. */
export function rowGroups(sizes, bench) {
  const dropCaches = () => bench.sh('sync; echo 3 > /proc/sys/vm/drop_caches').catch(() => undefined);
  const tools = { ...bench, dropCaches };
  return [
    [...nameRows(sizes, tools), ...readRows(sizes, tools), ...writeRows(sizes, tools)],
    lookRows(sizes, tools),
    serviceRows(sizes, tools),
  ];
}
