/** Which mounts there are on this machine, one small file each, so that `status` and `umount` find their processes. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf } from '../base/errors.js';
import { type Directories, privateDirectory } from '../config/directories.js';

const entrySchema = z.object({
  mountpoint: z.string(),
  account: z.string(),
  provider: z.string(),
  pid: z.number(),
  socket: z.string(),
  log: z.string().nullable(),
});

export type RegistryEntry = z.infer<typeof entrySchema>;

/** The kernel's limit on the path of a Unix socket, bytes (unix(7)), less its closing NUL. */
const MAX_SOCKET_PATH = 107;

export class Registry {
  readonly #directory: string;

  constructor(directories: Pick<Directories, 'state'>) {
    this.#directory = join(directories.state, 'mounts');
  }

  /** Where the mount on `mountpoint` listens. A state directory too deep for a socket gives way to the temporary one. */
  socketPath(mountpoint: string): string {
    const name = `${this.#id(mountpoint)}.sock`;
    const path = join(this.#directory, name);
    if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      return path;
    }
    const state = createHash('sha256').update(this.#directory).digest('hex').slice(0, 12);
    return join(privateDirectory(join(tmpdir(), `syncmount-${process.getuid?.() ?? 0}-${state}`)), name);
  }

  put(entry: RegistryEntry): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const path = this.#path(entry.mountpoint);
    writeFileSync(`${path}.tmp`, JSON.stringify(entry), { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  }

  remove(mountpoint: string): void {
    rmSync(this.#path(mountpoint), { force: true });
    rmSync(this.socketPath(mountpoint), { force: true });
  }

  find(mountpoint: string): RegistryEntry | undefined {
    return this.#read(this.#path(mountpoint));
  }

  all(): RegistryEntry[] {
    let files: string[];
    try {
      files = readdirSync(this.#directory);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
    return files
      .filter((file) => file.endsWith('.json'))
      .flatMap((file) => this.#read(join(this.#directory, file)) ?? [])
      .sort((a, b) => (a.mountpoint < b.mountpoint ? -1 : 1));
  }

  #read(path: string): RegistryEntry | undefined {
    try {
      return entrySchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    } catch {
      // Missing, or half of a file from before a crash: there is no such mount to talk to.
      return undefined;
    }
  }

  #path(mountpoint: string): string {
    return join(this.#directory, `${this.#id(mountpoint)}.json`);
  }

  #id(mountpoint: string): string {
    return createHash('sha256').update(mountpoint).digest('hex').slice(0, 16);
  }
}

/** Does a process of that id run? One that has ended and waits to be reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
  try {
    // proc_pid_stat(5): `pid (name) state …`; the name may hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch {
    // No /proc here (macOS), or gone between the two looks; the next look tells.
    return process.platform !== 'linux';
  }
}
