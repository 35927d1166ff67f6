// Lower bounds: one-page programs that do only the work that every client must do, on the same link as the mount (see bare/).
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { partRequests, rangeRequests, rootFolder, smallFileRequest } from './service-requests.mjs';

const MIB = 1024 * 1024;
/** Bytes of a range: the largest request of the mount. */
const RANGE = 8 * MIB;
/** Bytes of a block of the mount's cache. */
const BLOCK = 64 * 1024;

/** Reads the file `id` of 4shared over sixteen connections. Returns `{ seconds, cpu: { all, main } }`, like all functions here. */
export function bareRead(service, { top, id, size }) {
  const file = join(top, 'bare-read');
  return run(
    service,
    'read',
    { requests: rangeRequests(service, { id, size, each: RANGE }), connections: 16, file },
    file,
  );
}

/** Reads `count` blocks, each as large as a block of the mount's cache, all over the file, one after the other. */
export function bareRandom(service, { id, size, count }) {
  const ranges = rangeRequests(service, { id, size, each: BLOCK });
  // The step has no factor in common with the number of ranges, so no range comes twice.
  const requests = Array.from({ length: count }, (_, n) => ranges[(n * 1231) % ranges.length]);
  return run(service, 'random', { requests });
}

/** Stores the file as a new one over eight connections. */
export async function bareWrite(service, { top, source }) {
  const file = join(top, 'bare-write');
  const { size } = statSync(source);
  const { requests, end } = await partRequests(service, { size, parts: 8 });
  const result = await run(service, 'write', { requests, source, file, size }, file);
  await end();
  return result;
}

/** Stores `count` files of 4 KiB over eight connections. */
export async function bareSmall(service, { top, count }) {
  const directory = join(top, 'bare-small');
  mkdirSync(directory);
  const folder = await rootFolder(service);
  const requests = Array.from({ length: count }, (_, n) => smallFileRequest(service, folder, `bare-${n}`));
  return run(service, 'small', { requests, connections: 8, directory, bytes: 4096 }, directory);
}

/** Runs the program with this work, then removes the files that it has made. */
function run({ certificate }, program, work, made) {
  const trust = certificate === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificate };
  const path = new URL(`bare/${program}.mjs`, import.meta.url).pathname;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path], {
      env: { ...process.env, ...trust },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (made !== undefined) rmSync(made, { recursive: true, force: true });
      if (code === 0) resolve(JSON.parse(text));
      else reject(new Error(`the bare program (${program}) ended with ${code}`));
    });
    child.stdin.end(JSON.stringify(work));
  });
}
