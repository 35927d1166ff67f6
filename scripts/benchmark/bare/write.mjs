// The least work of a client that keeps, checks and sends a file. It reads the file in pieces as large as the writes of `cp`, on the main
// thread, writes them to another file in a thread of the pool, computes the MD5 in a thread, and sends the parts.
import { createReadStream, openSync, readSync, write } from 'node:fs';
import { promisify } from 'node:util';
import { followFile } from './follow.mjs';
import { answerOf, input, output } from './program.mjs';

/** Bytes of one write of cp(1). */
const PIECE = 128 * 1024;
const { requests, source, file, size } = await input();
const from = openSync(source, 'r');
const to = openSync(file, 'w+');
const writeAt = promisify(write);

await output(async () => {
  const digest = followFile(file);
  const piece = Buffer.allocUnsafe(PIECE);
  for (let at = 0; at < size; ) {
    const count = readSync(from, piece, 0, PIECE, at);
    await writeAt(to, piece, 0, count, at);
    at += count;
    if (at % (4 * 1024 * 1024) === 0 || at === size) digest.reached(at);
  }
  await digest.end();
  await Promise.all(
    requests.map(async (request) => {
      const { first, length } = request;
      const body = createReadStream(file, { start: first, end: first + length - 1, highWaterMark: 256 * 1024 });
      for await (const _ of await answerOf(request, body));
    }),
  );
});
