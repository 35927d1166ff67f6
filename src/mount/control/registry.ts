/** The mounts of this machine, one small file each, so that `status` and `umount` find their processes. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import { type Life, lifeOf, processIdentity } from '../../base/processes.js';
import type { BaseDirectories } from '../../config/base-directories.js';

/** How often to check whether a process has ended, ms. */
const LOOK_MS = 20;

export interface RegistryEntry {
  readonly mountpoint: string;
  readonly account: string;
  readonly provider: string;
  readonly pid: number;
  /** The identity of the process (`processIdentity`); absent if the system has none. */
  readonly mark?: string | undefined;
  readonly socket: string;
  readonly log: string | null;
}

/** Checked by hand for the same reason as accounts are (config/accounts.ts). */
function isEntry(read: unknown): read is RegistryEntry {
  if (typeof read !== 'object' || read === null) return false;
  const { mountpoint, account, provider, pid, mark, socket, log } = read as Record<keyof RegistryEntry, unknown>;
  const texts = [mountpoint, account, provider, socket, mark === undefined ? '' : mark, log === null ? '' : log];
  return texts.every((value) => typeof value === 'string') && Number.isSafeInteger(pid) && (pid as number) > 0;
}

export class Registry {
  readonly #directory: string;

  constructor(directories: Pick<BaseDirectories, 'state'>) {
    this.#directory = join(directories.state, 'mounts');
  }

  /** Path of the socket on which the mount on `mountpoint` listens. */
  socketPath(mountpoint: string): string {
    makeDirectory(this.#directory);
    return this.#socket(mountpoint);
  }

  /** Registers the mount that this process serves. */
  put(own: Omit<RegistryEntry, 'pid' | 'mark'>): void {
    const mark = processIdentity(process.pid);
    const entry: RegistryEntry = { ...own, pid: process.pid, ...(mark === null ? {} : { mark }) };
    makeDirectory(this.#directory);
    const path = this.#path(entry.mountpoint);
    writeFileSync(`${path}.tmp`, JSON.stringify(entry), { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  }

  remove(mountpoint: string): void {
    rmSync(this.#path(mountpoint), { force: true });
    rmSync(this.#socket(mountpoint), { force: true });
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
      .flatMap((file) => {
        const entry = this.#read(join(this.#directory, file));
        // An entry in the file of another mount is not valid.
        return entry === undefined || file !== `${this.#id(entry.mountpoint)}.json` ? [] : [entry];
      })
      .sort((a, b) => (a.mountpoint < b.mountpoint ? -1 : 1));
  }

  #read(path: string): RegistryEntry | undefined {
    try {
      const read: unknown = JSON.parse(readFileSync(path, 'utf8'));
      return isEntry(read) ? read : undefined;
    } catch {
      // The file is missing, or cut short by a crash. There is no mount to talk to.
      return undefined;
    }
  }

  #socket(mountpoint: string): string {
    return join(this.#directory, `${this.#id(mountpoint)}.sock`);
  }

  #path(mountpoint: string): string {
    return join(this.#directory, `${this.#id(mountpoint)}.json`);
  }

  #id(mountpoint: string): string {
    return createHash('sha256').update(mountpoint).digest('hex').slice(0, 16);
  }
}

/**
 * The process of that mount. Its number alone does not tell whether it still runs, because the kernel gives the number to another process
 * later; after a restart of the machine that may be soon.
 */
function lifeOfServer({ pid, mark }: Pick<RegistryEntry, 'pid' | 'mark'>): Life {
  return mark === undefined || mark === processIdentity(pid) ? lifeOf(pid) : 'gone';
}

/** Whether the process of that mount still runs. */
export function isServed(entry: Pick<RegistryEntry, 'pid' | 'mark'>): boolean {
  return lifeOfServer(entry) === 'runs';
}

/** Whether the process of that mount is ending (it may have been killed) and still holds its lock on the account. */
export function isEnding(entry: Pick<RegistryEntry, 'pid' | 'mark'>): boolean {
  return lifeOfServer(entry) === 'ending';
}

/** Waits until the process of that mount is gone, or `patienceMs` are over. */
export async function serverGone(entry: Pick<RegistryEntry, 'pid' | 'mark'>, patienceMs: number): Promise<void> {
  const until = performance.now() + patienceMs;
  while (lifeOfServer(entry) !== 'gone' && performance.now() < until) await sleep(LOOK_MS);
}

/** Splits entries into mounts whose process runs and mounts whose process has died. */
export function splitByLife(entries: readonly RegistryEntry[]): { alive: RegistryEntry[]; dead: RegistryEntry[] } {
  const alive = entries.filter(isServed);
  return { alive, dead: entries.filter((entry) => !alive.includes(entry)) };
}
