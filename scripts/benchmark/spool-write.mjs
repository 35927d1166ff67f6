// Sequential writes of 1 MiB into a new file of a --write-back mount, with and without passthrough, compared with the plain disk. They
// take turns, and the best turn counts. The file is removed before it is closed, so nothing is uploaded. As root (Linux >= 6.9):
//     npm run build && node scripts/benchmark/spool-write.mjs [--mib 512] [--turns 3]
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { mib: { type: 'string', default: '512' }, turns: { type: 'string', default: '3' } },
});
const mib = Number(values.mib);
const turns = Number(values.turns);
const program = resolve('bin/syncmount.js');
const top = mkdtempSync(join(tmpdir(), 'syncmount-write-'));
const mnt = join(top, 'mnt');
const plain = join(top, 'plain');
const env = {
  ...process.env,
  ...Object.fromEntries(['CONFIG', 'STATE', 'CACHE'].map((kind) => [`SYNCMOUNT_${kind}_DIR`, join(top, kind)])),
};
const syncmount = (args, input = '') => execFileSync(process.execPath, [program, ...args], { env, input });

/** Seconds for the writes, and for an fsync after them. */
function measure(folder, flags) {
  const path = join(folder, 'file');
  const data = Buffer.alloc(1024 * 1024, 'x');
  const began = performance.now();
  const fd = openSync(path, flags);
  for (let i = 0; i < mib; i++) writeSync(fd, data);
  const wrote = performance.now();
  fsyncSync(fd);
  const synced = performance.now();
  unlinkSync(path);
  closeSync(fd);
  return { write: (wrote - began) / 1000, both: (synced - began) / 1000 };
}

for (const folder of [mnt, plain]) mkdirSync(folder);
const sandbox = spawn(process.execPath, [program, 'sandbox', '--json'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
const { credentials, endpoints } = JSON.parse(await new Promise((done) => sandbox.stdout.once('data', done)));
syncmount(
  [
    ...['login', 'bench', '--provider', '4shared', '--credentials', '-'],
    ...Object.entries(endpoints).flatMap(([key, url]) => ['--endpoint', `${key}=${url}`]),
  ],
  JSON.stringify(credentials),
);
syncmount(['mount', 'bench:', mnt, '--write-back', '--binding', 'kernel']);
try {
  // Passthrough is only for writers that do not also read (docs/bindings.md).
  const ways = { 'plain disk': [plain, 'w'], passthrough: [mnt, 'w'], 'without passthrough': [mnt, 'w+'] };
  const best = Object.fromEntries(Object.keys(ways).map((way) => [way, { write: Infinity, both: Infinity }]));
  for (let turn = 0; turn < turns; turn++) {
    for (const [way, [folder, flags]] of Object.entries(ways)) {
      const { write, both } = measure(folder, flags);
      best[way] = { write: Math.min(best[way].write, write), both: Math.min(best[way].both, both) };
    }
  }
  console.log(`${mib} MiB in pieces of 1 MiB, best of ${turns}`);
  for (const [way, { write, both }] of Object.entries(best)) {
    const speed = (seconds) => `${Math.round(mib / seconds)} MiB/s`.padStart(12);
    console.log(`${way.padEnd(20)}${speed(write)} written${speed(both)} written and on the disk`);
  }
} finally {
  syncmount(['umount', mnt]);
  sandbox.kill();
  rmSync(top, { recursive: true, force: true });
}
