// Our program as a contender: a sandbox of a service behind slow links, and a mount of it.
import { execFile } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { fetch } from 'undici';
import { bareRandom, bareRead, bareSmall, bareWrite } from './bare.mjs';
import { curlRanges, curlUpload } from './curl.mjs';
import { startLink } from './link.mjs';
import { cpuOf, residentBytes } from './process.mjs';

const run = promisify(execFile);
const here = resolve('.');
/** The built program of a checkout. */
const programOf = (checkout) => resolve(checkout, 'bin/syncmount.js');
/** Watches the event loop from inside the process: see that file. */
const watchLoop = resolve('test/load/watch-loop.cjs');

/**
 * A sandbox behind the link, and the mount of it by the program of `checkout` with these flags. The sandbox is always this checkout's.
 * `bench`: the directories and helpers of `createBench`.
 */
export async function startOurs(bench, name, { checkout = here, flags = [], provider = '4shared' } = {}) {
  const { top, env, link, certificate, trust, readings, stalls, mounts, background, sh, until } = bench;
  const program = programOf(checkout);
  const home = join(top, name);
  mkdirSync(home);
  const stallFile = join(home, 'stall');
  const own = {
    ...env,
    ...(certificate === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificate.cert }),
    ...(stalls ? { NODE_OPTIONS: `--require=${watchLoop} ${env.NODE_OPTIONS ?? ''}`, LOOP_WATCH_FILE: stallFile } : {}),
  };
  for (const what of ['config', 'state', 'cache']) own[`SYNCMOUNT_${what.toUpperCase()}_DIR`] = join(home, what);
  const cli = (...args) => run(process.execPath, [program, ...args], { env: own });

  const { endpoints, credentials, control } = await startSandbox();
  const reached = await throughLinks();
  const file = join(home, 'credentials.json');
  writeFileSync(file, JSON.stringify(credentials), { mode: 0o600 });
  const endpointFlags = Object.entries(reached).flatMap(([key, url]) => ['--endpoint', `${key}=${url}`]);
  await cli('login', 'bench', '--provider', provider, '--credentials', file, ...endpointFlags);
  const mnt = join(home, 'mnt');
  mkdirSync(mnt);
  mounts.push(mnt);
  const service = { provider, endpoints: reached, credentials, certificate: certificate?.cert, trust };
  const services = new Map();
  let lastId = '';
  /** The pid of the mount's process; 0 while there is none. */
  let pid = 0;

  return {
    name,
    mnt,
    curl: (size, connections) => curlRanges(service, { id: lastId, size, connections, sh }),
    curlUpload: (path, connections) => curlUpload(service, { file: path, connections, sh }),
    bare: {
      read: (size) => bareRead(service, { top, id: lastId, size }),
      random: (size, count) => bareRandom(service, { id: lastId, size, count }),
      write: (source) => bareWrite(service, { top, source }),
      small: (count) => bareSmall(service, { top, count }),
    },
    /** The same program with a mount of another service. */
    async service(other) {
      if (other === provider) return this;
      if (!services.has(other)) {
        services.set(other, await startOurs(bench, `${name}-${other}`, { checkout, flags, provider: other }));
      }
      return services.get(other);
    },
    populate: (path, folders, filesEach, size) => ask('POST', '/populate', { path, folders, filesEach, size }),
    generate: async (path, size) => {
      lastId = (await ask('POST', '/generate', { path, size })).id;
    },
    put: (from, path) => ask('PUT', `/files${path}`, createReadStream(from)),
    requests: async () => (await ask('GET', '/counters')).total,
    bytesSent: async () => (await ask('GET', '/counters')).bytesOut,
    mount: async (...more) => {
      await cli('mount', 'bench:', mnt, ...flags, ...more);
      pid = JSON.parse((await cli('status', mnt, '--json')).stdout).pid;
      // Loading modules at the start is itself a stall, which must not count.
      if (stalls) await takeStall();
    },
    umount: async () => {
      if (pid !== 0) await cli('umount', mnt);
      pid = 0;
    },
    forget: () => {
      for (const directory of ['cache', 'state']) rmSync(join(home, directory), { recursive: true, force: true });
    },
    forgetBlocks: () => rmSync(join(home, 'cache'), { recursive: true, force: true }),
    isStored: async () => JSON.parse((await cli('status', mnt, '--json')).stdout).pending.length === 0,
    memory: async () => residentBytes(pid),
    cpu: async () => cpuOf(pid),
    stall: async () => (pid === 0 || !stalls ? null : takeStall()),
    isOneLoop: true,
    /** Without --write-back. Asking whether all is stored starts a process, and the measured time would include it. */
    storesAtClose: true,
  };

  async function startSandbox() {
    const tlsFlags = certificate === undefined ? [] : ['--tls-cert', certificate.cert, '--tls-key', certificate.key];
    const kind = ['--provider', provider, ...readings.flatMap((reading) => ['--reading', reading])];
    const where = ['--dir', join(home, 'sandbox')];
    const child = background(process.execPath, [programOf(here), 'sandbox', '--json', ...kind, ...where, ...tlsFlags]);
    return JSON.parse(String(await new Promise((first) => child.stdout.once('data', first))));
  }

  /** The endpoints, each port behind a link. */
  async function throughLinks() {
    const links = new Map();
    const urls = {};
    for (const [key, text] of Object.entries(endpoints)) {
      const url = new URL(text);
      if (!links.has(url.port)) links.set(url.port, await startLink({ target: Number(url.port), ...link }));
      url.port = links.get(url.port).port;
      urls[key] = url.href;
    }
    return urls;
  }

  /** Asks the sandbox itself, past the link. */
  async function ask(method, path, body) {
    const isStream = body?.pipe !== undefined;
    const sent = isStream ? { body, duplex: 'half' } : { body: JSON.stringify(body) };
    const headers = { 'content-type': isStream ? 'application/octet-stream' : 'application/json' };
    const answer = await fetch(`${control}${path}`, {
      method,
      dispatcher: trust,
      ...(body === undefined ? {} : { ...sent, headers }),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    const text = await answer.text();
    return text === '' ? null : JSON.parse(text);
  }

  /** The longest time without a turn of the event loop since the last call, ms of CPU. */
  async function takeStall() {
    rmSync(stallFile, { force: true });
    process.kill(pid, 'SIGUSR2');
    await until('the watch on the event loop', () => existsSync(stallFile));
    return Number(readFileSync(stallFile, 'utf8'));
  }
}
