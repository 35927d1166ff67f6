// Measures syncmount beside `rclone mount` (WebDAV, full cache mode) and the plain disk, in one run over the same slow link.
// Prints a table, writes JSON with --json FILE. `--only NAME,…` reports some rows, `--quick` takes smaller sizes,
// `--native` adds our binding over libfuse 2, `--before CHECKOUT` the program of another checkout that is built (its ratio is the
// last column), `--tls` has our service speak TLS (rclone's does not), `--no-rclone` leaves rclone out. Times on a shared
// machine mean little by themselves: the ratios of one run are what counts.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createBench } from './contenders.mjs';
import { rowsOf } from './rows.mjs';

const usage =
  'usage: scripts/bench [--quick] [--native] [--before CHECKOUT] [--tls] [--no-rclone] [--only NAME,…] [--json FILE]';
const values = readFlags();
const flag = (name) => values[name] === true;
const only = values.only?.split(',') ?? null;
const MIB = 1024 * 1024;
const sizes = flag('quick')
  ? { folders: 20, filesEach: 20, large: 64 * MIB, written: 32 * MIB, small: 100, random: 50, missing: 20_000 }
  : { folders: 200, filesEach: 50, large: 512 * MIB, written: 256 * MIB, small: 1000, random: 200, missing: 40_000 };
const link = { roundTripMs: 50, bytesPerSecond: 25e6 };
const results = [];

const bench = createBench(mkdtempSync(join(tmpdir(), 'syncmount-bench-')), link, { tls: flag('tls') });
const { sh, startOurs, startRclone, disk } = bench;
const rows = rowsOf(sizes, bench);

function readFlags() {
  const text = { type: 'string' };
  const yes = { type: 'boolean' };
  const options = {
    quick: yes,
    native: yes,
    tls: yes,
    'no-rclone': yes,
    only: text,
    before: text,
    json: text,
    help: yes,
  };
  try {
    const { values } = parseArgs({ options });
    if (!values.help) return values;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    process.exit(2);
  }
}

async function main() {
  mkdirSync(disk.mnt);
  const hasRclone = !flag('no-rclone') && (await sh('command -v rclone || true')).out !== '';
  const contenders = [
    await startOurs('syncmount'),
    ...(flag('native') ? [await startOurs('native', { flags: ['--binding', 'native'] })] : []),
    ...(values.before === undefined ? [] : [await startOurs('before', { checkout: values.before })]),
    ...(hasRclone ? [await startRclone()] : []),
    disk,
  ];
  for (const contender of contenders) {
    // Rows that others build on always run; --only chooses what is reported.
    for (const row of rows) {
      const begin = await contender.requests();
      const sent = await contender.bytesSent();
      const figure = await row.measure(contender);
      const requests = (await contender.requests()) - begin;
      const bytes = (await contender.bytesSent()) - sent;
      if (figure === null) continue;
      if (only !== null && !only.includes(row.name)) continue;
      results.push({ row: row.name, contender: contender.name, figure, unit: row.unit, requests, bytes });
      process.stderr.write(`${contender.name}\t${row.title}\t${figure.toFixed(3)} ${row.unit}\t${requests} requests\n`);
    }
    await contender.umount();
  }
  report(contenders.map(({ name }) => name));
}

function report(names) {
  const figure = (row, name) => results.find((r) => r.row === row.name && r.contender === name);
  const peers = ['rclone', 'disk', 'before'].filter((name) => names.includes(name));
  const heads = ['Work', ...names, 'requests', ...peers.map((name) => `ours / ${name}`)];
  console.log(`| ${heads.join(' | ')} |\n|${heads.map(() => '---|').join('')}`);
  for (const row of rows) {
    const cells = names.map((name) => figure(row, name));
    if (cells.every((cell) => cell === undefined)) continue;
    const [ours] = cells;
    const ratio = (other) => {
      const peer = figure(row, other);
      return peer === undefined || !peer.figure ? '' : (ours.figure / peer.figure).toPrecision(2);
    };
    const shown = cells.map((cell) => (cell === undefined ? '' : `${cell.figure.toPrecision(3)} ${cell.unit}`));
    console.log(`| ${[row.title, ...shown, ours.requests, ...peers.map(ratio)].join(' | ')} |`);
  }
  const file = values.json;
  if (file !== undefined) writeFileSync(file, `${JSON.stringify({ link, sizes, results }, null, 2)}\n`);
}

try {
  await main();
} finally {
  await bench.end();
}
process.exit(0);
