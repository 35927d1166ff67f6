// The contenders: our mount, `rclone mount`, the plain disk. Each can be filled, mounted, emptied of caches and asked how much it
// has sent. Programs work in its directory `mnt`.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Agent, fetch } from 'undici';
import { startLink } from './link.mjs';
import { startOurs } from './ours.mjs';
import { cpuOf, residentBytes } from './process.mjs';

const run = promisify(execFile);
const MIB = 1024 * 1024;

/**
 * All contenders, in the directory `top`, behind links like `link`. With `tls` our services speak TLS. Without `validators` their downloads
 * carry neither ETag nor Last-Modified. Without `stalls` the event loops of our mounts are not watched. `end` removes everything.
 */
export function createBench(top, link, { tls = false, validators = true, stalls = true } = {}) {
  const env = { ...process.env };
  // rclone gets its remote from the environment, because its connection strings do not allow the colons of a URL.
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

  /** `rclone serve webdav` behind a link, and rclone's mount of it. */
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
    const through = await startLink({ target: port, ...link });
    const cache = join(top, 'rclone-cache');
    let child = null;
    return {
      name: 'rclone',
      mnt,
      populate: (path, folders, filesEach, size) =>
        sh(`mkdir -p "$TOP/served${path}"; cd "$TOP/served${path}"
            for d in $(seq ${folders}); do mkdir d$d; for f in $(seq ${filesEach}); do head -c ${size} /dev/zero > d$d/f$f; done; done`),
      generate: (path, size) => sh(`head -c ${size} /dev/urandom > "$TOP/served${path}"`),
      put: (from, path) => sh(`mkdir -p "$(dirname "$TOP/served${path}")"; ln "${from}" "$TOP/served${path}"`),
      // They are not counted.
      requests: async () => 0,
      bytesSent: async () => through.bytesToClients(),
      mount: async () => {
        env.RCLONE_CONFIG_BENCH_URL = `http://127.0.0.1:${through.port}/`;
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
        if (child === null) return;
        // rclone may still hold a file that a program has just closed.
        await until('umount', () =>
          sh('umount "$MNT"', mnt).then(
            () => true,
            () => false,
          ),
        );
        await new Promise((ended) => (child.exitCode === null ? child.once('exit', ended) : ended()));
        child = null;
      },
      forget: () => rmSync(cache, { recursive: true, force: true }),
      forgetBlocks: () => rmSync(cache, { recursive: true, force: true }),
      isStored: async () => {
        // Compares files and bytes, because a file in transfer exists already, but is short.
        const count = (directory) =>
          sh(`find ${directory}/w -type f -printf '%s\\n' | awk '{n += $1} END {print NR, n + 0}'`, mnt);
        return (await count('"$MNT"')).out === (await count('"$TOP/served"')).out;
      },
      memory: async () => residentBytes(child.pid),
      cpu: async () => cpuOf(child.pid),
      stall: async () => null,
    };
  }

  const disk = {
    name: 'disk',
    mnt: join(top, 'disk'),
    populate: (path, folders, filesEach, size) =>
      sh(`mkdir -p "$TOP/disk${path}"; cd "$TOP/disk${path}"
          for d in $(seq ${folders}); do mkdir d$d; for f in $(seq ${filesEach}); do head -c ${size} /dev/zero > d$d/f$f; done; done`),
    generate: (path, size) => sh(`head -c ${size} /dev/urandom > "$TOP/disk${path}"`),
    put: (from, path) => sh(`mkdir -p "$(dirname "$TOP/disk${path}")"; ln "${from}" "$TOP/disk${path}"`),
    requests: async () => 0,
    bytesSent: async () => 0,
    mount: async () => undefined,
    umount: async () => undefined,
    forget: () => undefined,
    forgetBlocks: () => undefined,
    isStored: async () => true,
    memory: async () => 0,
    cpu: async () => null,
    stall: async () => null,
  };

  async function end() {
    for (const mnt of mounts) await run('umount', ['-l', mnt]).catch(() => undefined);
    for (const child of processes) child.kill();
    rmSync(top, { recursive: true, force: true });
  }

  const readings = validators ? [] : ['validator=none'];
  const place = { top, env, link, certificate, trust, readings, stalls, mounts, background, sh, until };
  return {
    top,
    sh,
    until,
    startOurs: (name, options) => startOurs(place, name, options),
    startRclone,
    disk,
    end,
  };
}

/** A certificate for this machine and its key, as files. */
function selfSigned(directory) {
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  const names = ['-subj', '/CN=bench', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert, key };
}
