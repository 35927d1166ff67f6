// Measures syncmount beside `rclone mount` (WebDAV, full cache mode) and the plain disk, in one run over the same slow link.
// Prints a table, writes JSON with --json FILE. `--only NAME,…` reports some rows, `--quick` takes smaller sizes,
// `--native` adds our binding over libfuse 2, `--no-rclone` leaves rclone out. Times on a shared
// machine mean little by themselves: the ratios of one run are what counts.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { startLink } from './link.mjs';

const run = promisify(execFile);
const flag = (name) => process.argv.includes(`--${name}`);
const value = (name) =>
  process.argv.includes(`--${name}`) ? process.argv[process.argv.indexOf(`--${name}`) + 1] : null;
const quick = flag('quick');
const only = value('only')?.split(',') ?? null;
const MIB = 1024 * 1024;
const sizes = quick
  ? { folders: 20, filesEach: 20, large: 64 * MIB, written: 32 * MIB, small: 100, random: 50 }
  : { folders: 200, filesEach: 50, large: 512 * MIB, written: 256 * MIB, small: 1000, random: 200 };
const link = { roundTripMs: 50, bytesPerSecond: 25e6 };

const top = mkdtempSync(join(tmpdir(), 'syncmount-bench-'));
const program = resolve('bin/syncmount.js');
const env = {
  ...process.env,
};
// rclone's remote, told through the environment: its connection strings trip over the colons of a URL.
Object.assign(env, { RCLONE_CONFIG_BENCH_TYPE: 'webdav', RCLONE_CONFIG_BENCH_VENDOR: 'other' });
const processes = new Set();
const results = [];
const mounts = [];

const sh = async (script, mnt) => {
  const begin = performance.now();
  const { stdout } = await run('bash', ['-o', 'pipefail', '-ec', script], {
    env: { ...env, MNT: mnt, TOP: top },
    maxBuffer: 64 * MIB,
  });
  return { seconds: (performance.now() - begin) / 1000, out: stdout.trim() };
};

function background(command, args) {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  processes.add(child);
  child.on('exit', () => processes.delete(child));
  return child;
}

async function until(what, test, ms = 60_000) {
  const end = Date.now() + ms;
  while (!(await test())) {
    if (Date.now() > end) throw new Error(`gave up waiting for ${what}`);
    await new Promise((again) => setTimeout(again, 20));
  }
}

/** A sandbox behind the link, and our mount of it with these flags. */
async function startOurs(name, ...flags) {
  const home = join(top, name);
  mkdirSync(home);
  const own = { ...env };
  for (const what of ['config', 'state', 'cache']) own[`SYNCMOUNT_${what.toUpperCase()}_DIR`] = join(home, what);
  const cli = (...args) => run(process.execPath, [program, ...args], { env: own });
  const child = background(process.execPath, [program, 'sandbox', '--json', '--dir', join(home, 'sandbox')]);
  const line = await new Promise((first) => child.stdout.once('data', (data) => first(String(data))));
  const { endpoints, credentials, control } = JSON.parse(line);
  const links = {};
  for (const key of ['api', 'upload']) {
    links[key] = await startLink({ target: Number(new URL(endpoints[key]).port), ...link });
  }
  const url = (key) => `http://127.0.0.1:${links[key].port}/v1_2`;
  const file = join(home, 'credentials.json');
  writeFileSync(file, JSON.stringify(credentials), { mode: 0o600 });
  const login = ['login', 'bench', '--provider', '4shared', '--credentials', file];
  await cli(...login, '--endpoint', `api=${url('api')}`, '--endpoint', `upload=${url('upload')}`);
  const mnt = join(home, 'mnt');
  mkdirSync(mnt);
  mounts.push(mnt);
  const ask = async (method, path, body) => {
    const answer = await fetch(`${control}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    const text = await answer.text();
    return text === '' ? null : JSON.parse(text);
  };
  return {
    name,
    mnt,
    populate: (path, folders, filesEach, size) => ask('POST', '/populate', { path, folders, filesEach, size }),
    generate: (path, size) => ask('POST', '/generate', { path, size }),
    requests: async () => (await ask('GET', '/counters')).total,
    bytesSent: async () => (await ask('GET', '/counters')).bytesOut,
    mount: (...more) => cli('mount', 'bench:', mnt, ...flags, ...more),
    umount: () => cli('umount', mnt),
    forget: () => {
      for (const directory of ['cache', 'state']) rmSync(join(home, directory), { recursive: true, force: true });
    },
    forgetBlocks: () => rmSync(join(home, 'cache'), { recursive: true, force: true }),
    isStored: async () => JSON.parse((await cli('status', mnt, '--json')).stdout).pending.length === 0,
    memory: async () => rss(JSON.parse((await cli('status', mnt, '--json')).stdout).pid),
  };
}

/** `rclone serve webdav` behind such a link, and rclone's mount of it. */
async function startRclone() {
  const served = join(top, 'served');
  const mnt = join(top, 'rclone');
  mounts.push(mnt);
  mkdirSync(served);
  mkdirSync(mnt);
  const port = 18_000 + (process.pid % 1000);
  background('rclone', [
    'serve',
    'webdav',
    served,
    '--addr',
    `127.0.0.1:${port}`,
    '--etag-hash',
    'MD5',
    '--dir-cache-time',
    '0s',
    '-q',
  ]);
  await until('rclone serve', () =>
    fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    ),
  );
  const { port: through } = await startLink({ target: port, ...link });
  const cache = join(top, 'rclone-cache');
  let child = null;
  return {
    name: 'rclone',
    mnt,
    populate: (path, folders, filesEach, size) =>
      sh(`mkdir -p "$TOP/served${path}"; cd "$TOP/served${path}"
          for d in $(seq ${folders}); do mkdir d$d; for f in $(seq ${filesEach}); do head -c ${size} /dev/zero > d$d/f$f; done; done`),
    generate: (path, size) => sh(`head -c ${size} /dev/urandom > "$TOP/served${path}"`),
    requests: async () => 0,
    bytesSent: async () => 0,
    mount: async () => {
      env.RCLONE_CONFIG_BENCH_URL = `http://127.0.0.1:${through}/`;
      const flags = [
        '--vfs-cache-mode',
        'full',
        '--cache-dir',
        cache,
        '--vfs-write-back',
        '0s',
        '--dir-cache-time',
        '1h',
        '-q',
      ];
      child = background('rclone', ['mount', 'bench:', mnt, ...flags]);
      await until('rclone mount', () =>
        sh('mountpoint -q "$MNT"', mnt).then(
          () => true,
          () => false,
        ),
      );
    },
    umount: async () => {
      await sh('umount "$MNT"', mnt);
      await new Promise((ended) => (child.exitCode === null ? child.once('exit', ended) : ended()));
    },
    forget: () => rmSync(cache, { recursive: true, force: true }),
    forgetBlocks: () => rmSync(cache, { recursive: true, force: true }),
    isStored: async () => {
      // Files and bytes: a file that is on its way is there already, but short.
      const count = (directory) =>
        sh(`find ${directory}/w -type f -printf '%s\\n' | awk '{n += $1} END {print NR, n + 0}'`, mnt);
      return (await count('"$MNT"')).out === (await count('"$TOP/served"')).out;
    },
    memory: () => rss(child.pid),
  };
}

async function rss(pid) {
  return Number((await sh(`awk '/VmRSS/ {print $2}' /proc/${pid}/status`)).out) * 1024;
}

const disk = {
  name: 'disk',
  mnt: join(top, 'disk'),
  populate: (path, folders, filesEach, size) =>
    sh(`mkdir -p "$TOP/disk${path}"; cd "$TOP/disk${path}"
        for d in $(seq ${folders}); do mkdir d$d; for f in $(seq ${filesEach}); do head -c ${size} /dev/zero > d$d/f$f; done; done`),
  generate: (path, size) => sh(`head -c ${size} /dev/urandom > "$TOP/disk${path}"`),
  requests: async () => 0,
  bytesSent: async () => 0,
  mount: async () => undefined,
  umount: async () => undefined,
  forget: () => undefined,
  forgetBlocks: () => undefined,
  isStored: async () => true,
  memory: async () => 0,
};

const dropCaches = () => sh('sync; echo 3 > /proc/sys/vm/drop_caches').catch(() => undefined);

/** Every row: what is measured of one contender; answers a number in `unit`. Smaller is better unless `more`. */
const rows = [
  {
    name: 'find-cold',
    title: `cold find, ${sizes.folders * sizes.filesEach} files in ${sizes.folders} folders`,
    unit: 's',
    async measure(c) {
      await c.populate('/tree', sizes.folders, sizes.filesEach, 10);
      await c.mount();
      return (await sh('find "$MNT/tree" | wc -l', c.mnt)).seconds;
    },
  },
  {
    name: 'find-remount',
    title: 'the same after a remount',
    unit: 's',
    async measure(c) {
      await c.umount();
      await c.mount();
      return (await sh('find "$MNT/tree" | wc -l', c.mnt)).seconds;
    },
  },
  {
    name: 'ls-warm',
    title: 'ls -lR of it, warm',
    unit: 's',
    async measure(c) {
      await sh('ls -lR "$MNT/tree" | wc -l', c.mnt);
      return (await sh('ls -lR "$MNT/tree" | wc -l', c.mnt)).seconds;
    },
  },
  {
    name: 'stat-missing',
    title: 'stat of distinct missing names, one caller',
    unit: '/s',
    more: true,
    measure: (c) => statMissing(c, 1),
  },
  {
    name: 'stat-missing-4',
    title: 'the same, four callers',
    unit: '/s',
    more: true,
    measure: (c) => statMissing(c, 4),
  },
  {
    name: 'read-cold',
    title: `cold sequential read, ${sizes.large / MIB} MiB`,
    unit: 'MB/s',
    more: true,
    async measure(c) {
      await c.umount();
      await c.generate('/large.bin', sizes.large);
      c.forget();
      await c.mount();
      await dropCaches();
      return speed(await sh('cat "$MNT/large.bin" > /dev/null', c.mnt), sizes.large);
    },
  },
  {
    name: 'read-page-cache',
    title: 'read again, from the page cache',
    unit: 'MB/s',
    more: true,
    measure: async (c) => speed(await sh('cat "$MNT/large.bin" > /dev/null', c.mnt), sizes.large),
  },
  {
    name: 'read-disk-cache',
    title: 'read again after a remount, from the disk cache',
    unit: 'MB/s',
    more: true,
    async measure(c) {
      await c.umount();
      await c.mount();
      await sh('ls "$MNT" > /dev/null', c.mnt);
      return speed(await sh('cat "$MNT/large.bin" > /dev/null', c.mnt), sizes.large);
    },
  },
  {
    name: 'read-random',
    title: `${sizes.random} random 4 KiB reads, cold`,
    unit: 'ms each',
    async measure(c) {
      await c.umount();
      c.forgetBlocks();
      await c.mount();
      await dropCaches();
      await sh('ls "$MNT" > /dev/null', c.mnt);
      const script = `python3 -c "
import os, random
random.seed(7); fd = os.open(os.environ['MNT'] + '/large.bin', os.O_RDONLY)
for _ in range(${sizes.random}): os.pread(fd, 4096, random.randrange(${sizes.large / 4096}) * 4096)"`;
      return ((await sh(script, c.mnt)).seconds * 1000) / sizes.random;
    },
  },
  {
    name: 'write-large',
    title: `${sizes.written / MIB} MiB written, until stored`,
    unit: 's',
    async measure(c) {
      await sh(`head -c ${sizes.written} /dev/urandom > "$TOP/written.bin"; mkdir -p "$MNT/w"`, c.mnt);
      return seconds(async () => {
        await sh('cp "$TOP/written.bin" "$MNT/w/large"; [ "$MNT" != "$TOP/disk" ] || sync "$MNT/w/large"', c.mnt);
        await until('the upload', c.isStored, 600_000);
      });
    },
  },
  {
    name: 'write-small',
    title: `${sizes.small} files of 4 KiB, until stored (--write-back)`,
    unit: 's',
    async measure(c) {
      await c.umount();
      await c.mount('--write-back');
      await sh(
        `mkdir "$TOP/small-${c.name}"; cd "$TOP/small-${c.name}"; for i in $(seq ${sizes.small}); do head -c 4096 /dev/urandom > $i; done; ls "$MNT/w" > /dev/null`,
        c.mnt,
      );
      return seconds(async () => {
        await sh(
          `cp -r "$TOP/small-${c.name}" "$MNT/w/small"; [ "$MNT" != "$TOP/disk" ] || sync "$MNT/w/small"/*`,
          c.mnt,
        );
        await until('the uploads', c.isStored, 600_000);
      });
    },
  },
  {
    name: 'memory',
    title: 'memory of the mount at the end',
    unit: 'MiB',
    measure: async (c) => (await c.memory()) / MIB,
  },
];

async function statMissing(c, callers) {
  const each = Math.floor((quick ? 4000 : 20_000) / callers);
  const script = `cat > "$TOP/stat.py" <<'END'
import os, sys, time
mnt, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for i in range(first, first + count):
    try: os.stat(f'{mnt}/missing-{i}')
    except FileNotFoundError: pass
END
for n in $(seq ${callers}); do python3 "$TOP/stat.py" "$MNT" $((n * 1000000 + RANDOM * 31)) ${each} & done; wait`;
  await sh('ls "$MNT" > /dev/null', c.mnt);
  return (each * callers) / (await sh(script, c.mnt)).seconds;
}

const speed = ({ seconds }, bytes) => bytes / 1e6 / seconds;

async function seconds(act) {
  const begin = performance.now();
  await act();
  return (performance.now() - begin) / 1000;
}

async function main() {
  mkdirSync(disk.mnt);
  const hasRclone = !flag('no-rclone') && (await sh('command -v rclone || true')).out !== '';
  const contenders = [
    await startOurs('syncmount'),
    ...(flag('native') ? [await startOurs('native', '--binding', 'native')] : []),
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
  console.log(
    `| Work | ${names.join(' | ')} | requests | ours / rclone | ours / disk |\n|---|${names.map(() => '---|').join('')}---|---|---|`,
  );
  for (const row of rows) {
    const cells = names.map((name) => figure(row, name));
    if (cells.every((cell) => cell === undefined)) continue;
    const [ours] = cells;
    const ratio = (other) => {
      const peer = figure(row, other);
      return peer === undefined || !peer.figure ? '' : (ours.figure / peer.figure).toPrecision(2);
    };
    const shown = cells.map((cell) => (cell === undefined ? '' : `${cell.figure.toPrecision(3)} ${cell.unit}`));
    console.log(`| ${row.title} | ${shown.join(' | ')} | ${ours.requests} | ${ratio('rclone')} | ${ratio('disk')} |`);
  }
  const file = value('json');
  if (file !== null) writeFileSync(file, `${JSON.stringify({ link, sizes, results }, null, 2)}\n`);
}

try {
  await main();
} finally {
  for (const mnt of mounts) await run('umount', ['-l', mnt]).catch(() => undefined);
  for (const child of processes) child.kill();
  rmSync(top, { recursive: true, force: true });
}
process.exit(0);
