// What is compared: our mount, `rclone mount`, the plain disk. Each can be filled, mounted, emptied of caches and asked what it
// has sent; `mnt` is where programs work.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Agent, fetch } from 'undici';
import { curlRanges } from './curl.mjs';
import { startLink } from './link.mjs';

const run = promisify(execFile);
const here = resolve('.');
/** The program of a checkout, which is built. */
const programOf = (checkout) => resolve(checkout, 'bin/syncmount.js');
const MIB = 1024 * 1024;

/** Everything that lives in the directory `top`, behind links like `link`, over TLS with `tls`. `end` takes it all away again. */
export function createBench(top, link, { tls = false } = {}) {
  const env = { ...process.env };
  // rclone's remote, told through the environment: its connection strings trip over the colons of a URL.
  Object.assign(env, { RCLONE_CONFIG_BENCH_TYPE: 'webdav', RCLONE_CONFIG_BENCH_VENDOR: 'other' });
  const processes = new Set();
  const mounts = [];
  const certificate = tls ? selfSigned(top) : undefined;
  const trust = certificate === undefined ? undefined : new Agent({ connect: { ca: readFileSync(certificate.cert) } });

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

  /** A sandbox behind the link, and the mount of it by the program of a checkout with these flags. The sandbox is always of this one. */
  async function startOurs(name, { checkout = here, flags = [] } = {}) {
    const program = programOf(checkout);
    const home = join(top, name);
    mkdirSync(home);
    const own = { ...env, ...(certificate === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificate.cert }) };
    for (const what of ['config', 'state', 'cache']) own[`SYNCMOUNT_${what.toUpperCase()}_DIR`] = join(home, what);
    const cli = (...args) => run(process.execPath, [program, ...args], { env: own });
    const tlsFlags = certificate === undefined ? [] : ['--tls-cert', certificate.cert, '--tls-key', certificate.key];
    const child = background(process.execPath, [
      programOf(here),
      'sandbox',
      '--json',
      '--dir',
      join(home, 'sandbox'),
      ...tlsFlags,
    ]);
    const line = await new Promise((first) => child.stdout.once('data', (data) => first(String(data))));
    const { endpoints, credentials, control } = JSON.parse(line);
    const links = {};
    for (const key of ['api', 'upload']) {
      links[key] = await startLink({ target: Number(new URL(endpoints[key]).port), ...link });
    }
    const url = (key) => `${tls ? 'https' : 'http'}://127.0.0.1:${links[key].port}/v1_2`;
    const file = join(home, 'credentials.json');
    writeFileSync(file, JSON.stringify(credentials), { mode: 0o600 });
    const login = ['login', 'bench', '--provider', '4shared', '--credentials', file];
    await cli(...login, '--endpoint', `api=${url('api')}`, '--endpoint', `upload=${url('upload')}`);
    const mnt = join(home, 'mnt');
    mkdirSync(mnt);
    mounts.push(mnt);
    let lastId = '';
    const ask = async (method, path, body) => {
      const answer = await fetch(`${control}${path}`, {
        method,
        dispatcher: trust,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
      const text = await answer.text();
      return text === '' ? null : JSON.parse(text);
    };
    return {
      name,
      mnt,
      curl: (size, connections) =>
        curlRanges({ api: url('api'), id: lastId, size, credentials, certificate: certificate?.cert, connections, sh }),
      populate: (path, folders, filesEach, size) => ask('POST', '/populate', { path, folders, filesEach, size }),
      generate: async (path, size) => {
        lastId = (await ask('POST', '/generate', { path, size })).id;
      },
      requests: async () => (await ask('GET', '/counters')).total,
      bytesSent: async () => (await ask('GET', '/counters')).bytesOut,
      mount: (...more) => cli('mount', 'bench:', mnt, ...flags, ...more),
      umount: () => cli('umount', mnt),
      forget: () => {
        for (const directory of ['cache', 'state']) rmSync(join(home, directory), { recursive: true, force: true });
      },
      forgetBlocks: () => rmSync(join(home, 'cache'), { recursive: true, force: true }),
      isStored: async () => JSON.parse((await cli('status', mnt, '--json')).stdout).pending.length === 0,
      memory: async () => rss(await pidOf()),
      cpu: async () => cpuOf(await pidOf()),
      isOneLoop: true,
      countsBytes: true,
    };

    async function pidOf() {
      return JSON.parse((await cli('status', mnt, '--json')).stdout).pid;
    }
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
        // rclone may hold what a program has just closed.
        await until('umount', () =>
          sh('umount "$MNT"', mnt).then(
            () => true,
            () => false,
          ),
        );
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
      cpu: async () => cpuOf(child.pid),
    };
  }

  /** Seconds of CPU so far: of all threads, and of the first, which is the event loop of ours. */
  function cpuOf(pid) {
    const seconds = (file) => {
      const fields = readFileSync(file, 'utf8').split(') ').at(-1).split(' ');
      // utime and stime, in ticks of 10 ms: proc(5).
      return (Number(fields[11]) + Number(fields[12])) / 100;
    };
    return { all: seconds(`/proc/${pid}/stat`), main: seconds(`/proc/${pid}/task/${pid}/stat`) };
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
    cpu: async () => null,
  };

  async function end() {
    for (const mnt of mounts) await run('umount', ['-l', mnt]).catch(() => undefined);
    for (const child of processes) child.kill();
    rmSync(top, { recursive: true, force: true });
  }

  return { sh, until, startOurs, startRclone, disk, end };
}

/** A certificate for this machine and its key, as files. */
function selfSigned(directory) {
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  const names = ['-subj', '/CN=bench', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert, key };
}
