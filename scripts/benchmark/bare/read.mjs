// The least work of a client that checks and keeps the bytes that it reads. It fetches the ranges over `connections` connections, and puts
// each byte into a CRC-32, a file and, in a thread, the MD5 of the whole. There are no requests of a kernel.
import { openSync, write } from 'node:fs';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { followFile } from './follow.mjs';
import { answerOf, input, output } from './program.mjs';

const { requests, connections, file } = await input();
const fd = openSync(file, 'w+');
const digest = followFile(file);
const writeAt = promisify(write);
/** The ranges that have come, and how many of them are complete from the beginning of the file on. */
const whole = new Set();
let reached = 0;

await output(async () => {
  const waiting = [...requests];
  const fetchNext = async () => {
    for (let range = waiting.shift(); range !== undefined; range = waiting.shift()) {
      const answer = await answerOf(range);
      let at = range.first;
      let sum = 0;
      for await (const data of answer) {
        sum = crc32(data, sum);
        await writeAt(fd, data, 0, data.length, at);
        at += data.length;
      }
      if (at !== range.first + range.length) throw new Error('a range is short');
      whole.add(range.first);
      for (let next = requests[reached]; next !== undefined && whole.has(next.first); next = requests[reached]) {
        reached++;
        digest.reached(next.first + next.length);
      }
    }
  };
  await Promise.all(Array.from({ length: connections }, fetchNext));
  await digest.end();
});
