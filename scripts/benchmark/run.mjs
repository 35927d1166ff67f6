// Measures syncmount beside `rclone mount` (WebDAV, full cache mode) and the plain disk, in one run over the same slow link.
// Prints a table, and writes JSON with --json FILE. `--only NAME,…` reports some rows, `--quick` uses smaller sizes,
// `--native` adds our binding over libfuse 2, `--before CHECKOUT` adds the built program of another checkout (its ratio is the
// last column). With `--tls` our services speak TLS (rclone's does not). With `--no-validators` their downloads carry neither ETag
// nor Last-Modified. `--no-rclone` leaves rclone out. `--rounds N` repeats everything, each time from nothing and in the opposite
// order, and shows medians. Times on a shared machine mean little by themselves: only the ratios within one run count.
//
// The server counts the requests. The longest stall is the CPU time, in ms, that our event loop took without a turn since the row
// began or its mount was ready. The watch wakes the loop every 2 ms, which costs 3 to 6 % of a core: a transfer of 20 s seems to take
// a second more of CPU than it does. `--no-stalls` leaves the watch out, for exact CPU figures.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createBench } from './contenders.mjs';
import { table } from './report.mjs';
import { rowGroups } from './rows.mjs';

const usage =
  'usage: scripts/bench [--quick] [--native] [--before CHECKOUT] [--tls] [--no-validators] [--no-stalls] [--no-rclone] [--rounds N] [--only NAME,…] [--json FILE]';
const values = readFlags();
const flag = (name) => values[name] === true;
const only = values.only?.split(',') ?? null;
const MIB = 1024 * 1024;
const sizes = flag('quick')
  ? {
      folders: 20,
      filesEach: 20,
      large: 64 * MIB,
      written: 32 * MIB,
      small: 100,
      random: 50,
      missing: 20_000,
      film: 64 * MIB,
    }
  : {
      folders: 200,
      filesEach: 50,
      large: 512 * MIB,
      written: 256 * MIB,
      small: 1000,
      random: 200,
      missing: 40_000,
      film: 256 * MIB,
    };
const link = { roundTripMs: 50, bytesPerSecond: 25e6 };
const results = [];
/** The rows that are left out, with the reason. */
const leftOut = new Map();

const rounds = Number(values.rounds ?? 1);

function readFlags() {
  const text = { type: 'string' };
  const yes = { type: 'boolean' };
  const options = {
    quick: yes,
    native: yes,
    tls: yes,
    'no-validators': yes,
    'no-stalls': yes,
    'no-rclone': yes,
    only: text,
    before: text,
    json: text,
    rounds: text,
    help: yes,
  };
  try {
    const { values } = parseArgs({ options });
    if (values.rounds !== undefined && !/^[1-9]\d?$/.test(values.rounds)) {
      throw new Error('--rounds takes a number from 1 to 99');
    }
    if (!values.help) return values;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    process.exit(2);
  }
}

/** Measures all contenders from nothing, in the order of the round. Returns their names and the rows. */
async function measure(round) {
  const bench = createBench(mkdtempSync(join(tmpdir(), 'syncmount-bench-')), link, {
    tls: flag('tls'),
    validators: !flag('no-validators'),
    stalls: !flag('no-stalls'),
  });
  const { sh, startOurs, startRclone, disk } = bench;
  // An interrupted run leaves no mount and no process behind.
  const interrupted = (signal) => void bench.end().finally(() => process.exit(128 + constants.signals[signal]));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, interrupted);
  try {
    mkdirSync(disk.mnt);
    const hasRclone = !flag('no-rclone') && (await sh('command -v rclone || true')).out !== '';
    const contenders = [
      await startOurs('syncmount'),
      ...(flag('native') ? [await startOurs('native', { flags: ['--binding', 'native'] })] : []),
      ...(values.before === undefined ? [] : [await startOurs('before', { checkout: values.before })]),
      ...(hasRclone ? [await startRclone()] : []),
      disk,
    ];
    // All rows of a group run, because they depend on each other. --only chooses which of them are reported.
    const groups = rowGroups(sizes, bench).filter((rows) => rows.some(isWanted));
    for (const contender of round % 2 === 1 ? contenders.toReversed() : contenders) {
      for (const rows of groups) await measureOne(contender, rows);
      await contender.umount();
    }
    return { names: contenders.map(({ name }) => name), rows: groups.flat() };
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM']) process.removeListener(signal, interrupted);
    await bench.end();
  }
}

function isWanted({ name }) {
  return only === null || only.includes(name);
}

async function measureOne(contender, rows) {
  for (const row of rows) {
    await contender.stall();
    const begin = await contender.requests();
    const sent = await contender.bytesSent();
    const measured = await row.measure(contender);
    if (measured === null) continue;
    if (typeof measured === 'string') {
      if (isWanted(row)) leftOut.set(row.title, measured);
      continue;
    }
    const result = {
      row: row.name,
      contender: contender.name,
      unit: row.unit,
      requests: (await contender.requests()) - begin,
      bytes: (await contender.bytesSent()) - sent,
      stall: await contender.stall(),
      ...(typeof measured === 'number' ? { figure: measured } : measured),
    };
    if (!isWanted(row)) continue;
    results.push(result);
    const { figure, unit, requests } = result;
    process.stderr.write(`${contender.name}\t${row.title}\t${figure.toFixed(3)} ${unit}\t${requests} requests\n`);
  }
}

let measured;
for (let round = 0; round < rounds; round++) measured = await measure(round);
console.log(table({ ...measured, results }));
for (const [title, reason] of leftOut) console.log(`Left out: ${title}: ${reason}`);
if (values.json !== undefined) {
  const options = { tls: flag('tls'), validators: !flag('no-validators'), stalls: !flag('no-stalls') };
  writeFileSync(values.json, `${JSON.stringify({ link, sizes, rounds, ...options, results }, null, 2)}\n`);
}
process.exit(0);
