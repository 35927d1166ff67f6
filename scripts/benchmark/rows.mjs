// What is measured: `measure` answers, for one contender, a number in `unit`, or `{ figure, requests, bytes, stall }` where these are not
// of all that it did; null where there is nothing to say of the contender; a text that says why the row is left out.
import { lookRows } from './rows/looks.mjs';
import { nameRows } from './rows/names.mjs';
import { readRows } from './rows/reads.mjs';
import { serviceRows } from './rows/services.mjs';
import { writeRows } from './rows/writes.mjs';

/** The rows over `sizes`, in groups. Those of a group build on each other and run in this order. Smaller is better unless `more`. */
export function rowGroups(sizes, bench) {
  const dropCaches = () => bench.sh('sync; echo 3 > /proc/sys/vm/drop_caches').catch(() => undefined);
  const tools = { ...bench, dropCaches };
  return [
    [...nameRows(sizes, tools), ...readRows(sizes, tools), ...writeRows(sizes, tools)],
    lookRows(sizes, tools),
    serviceRows(sizes, tools),
  ];
}
