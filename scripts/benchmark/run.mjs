// Measures syncmount beside `rclone mount` (WebDAV, full cache mode) and the plain disk, in one run over the same slow link.
// Prints a table, writes JSON with --json FILE. `--only NAME,…` reports some rows, `--quick` takes smaller sizes,
// `--native` adds our binding over libfuse 2, `--before CHECKOUT` the program of another checkout that is built (its ratio is the
// last column), `--tls` has our service speak TLS (rclone's does not), `--no-rclone` leaves rclone out. `--rounds N` repeats it all,
// each time from nothing and in the opposite order, and shows medians. Times on a shared machine mean little by themselves:
// the ratios of one run are what counts.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createBench } from './contenders.mjs';
import { rowsOf } from './rows.mjs';

const usage =
  'usage: scripts/bench [--quick] [--native] [--before CHECKOUT] [--tls] [--no-rclone] [--rounds N] [--only NAME,…] [--json FILE]';
const values = readFlags();
const flag = (name) => values[name] === true;
const only = values.only?.split(',') ?? null;
const MIB = 1024 * 1024;
const sizes = flag('quick')
  ? { folders: 20, filesEach: 20, large: 64 * MIB, written: 32 * MIB, small: 100, random: 50, missing: 20_000 }
  : { folders: 200, filesEach: 50, large: 512 * MIB, written: 256 * MIB, small: 1000, random: 200, missing: 40_000 };
const link = { roundTripMs: 50, bytesPerSecond: 25e6 };
const results = [];

const rounds = Number(values.rounds ?? 1);

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

/** All contenders from nothing, in the order of the round; answers their names and the rows. */
async function measure(round) {
  const bench = createBench(mkdtempSync(join(tmpdir(), 'syncmount-bench-')), link, { tls: flag('tls') });
  const { sh, startOurs, startRclone, disk } = bench;
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
    const rows = rowsOf(sizes, bench);
    for (const contender of round % 2 === 1 ? contenders.toReversed() : contenders) await measureOne(contender, rows);
    return { names: contenders.map(({ name }) => name), rows };
  } finally {
    await bench.end();
  }
}

async function measureOne(contender, rows) {
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

/** The result of the middle round, by the figure, of a row and a contender. */
function median(row, name) {
  const all = results.filter((r) => r.row === row.name && r.contender === name);
  return all.sort((a, b) => a.figure - b.figure)[all.length >> 1];
}

function report({ names, rows }) {
  const peers = ['rclone', 'disk', 'before'].filter((name) => names.includes(name));
  const heads = ['Work', ...names, 'requests', ...peers.map((name) => `ours / ${name}`)];
  console.log(`| ${heads.join(' | ')} |\n|${heads.map(() => '---|').join('')}`);
  for (const row of rows) {
    const cells = names.map((name) => median(row, name));
    if (cells.every((cell) => cell === undefined)) continue;
    const [ours] = cells;
    const ratio = (other) => {
      const peer = median(row, other);
      return peer === undefined || !peer.figure ? '' : (ours.figure / peer.figure).toPrecision(2);
    };
    const shown = cells.map((cell) => (cell === undefined ? '' : `${cell.figure.toPrecision(3)} ${cell.unit}`));
    console.log(`| ${[row.title, ...shown, ours.requests, ...peers.map(ratio)].join(' | ')} |`);
  }
  const file = values.json;
  if (file !== undefined) writeFileSync(file, `${JSON.stringify({ link, sizes, rounds, results }, null, 2)}\n`);
}

let measured;
for (let round = 0; round < rounds; round++) measured = await measure(round);
report(measured);
process.exit(0);
