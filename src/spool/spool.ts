import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { RemoteFile } from '../providers/provider.js';
import type { UploadRow } from './journal.js';
import { SpoolFile } from './spool-file.js';

/** The directory of spool files. */
export class Spool {
  readonly directory: string;
  #next: number;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    // Names count up and are never used twice, so that a file left by a crash is not taken for a new one.
    this.#next = Math.max(0, ...readdirSync(directory).map((name) => Number.parseInt(name, 36) || 0)) + 1;
  }

  /** A new spool file that starts from `base`; it is on disk once this resolves. */
  async create(base: RemoteFile | null): Promise<{ name: string; file: SpoolFile }> {
    const name = (this.#next++).toString(36);
    const file = new SpoolFile(join(this.directory, name), base);
    try {
      await file.create();
    } catch (error) {
      await file.remove();
      throw error;
    }
    return { name, file };
  }

  /** The spool file of a journal row. */
  open(row: UploadRow): SpoolFile {
    return new SpoolFile(join(this.directory, row.spool), row.base, row.content);
  }

  /**
   * Deals with files that no journal row names: empty ones, made by a process that died before it wrote the row, go;
   * any other is content whose row was lost, and is set aside in `rescued/`. Answers the names of the latter.
   */
  sweep(named: ReadonlySet<string>): string[] {
    const rescued: string[] = [];
    for (const entry of readdirSync(this.directory, { withFileTypes: true })) {
      if (!entry.isFile() || named.has(entry.name)) continue;
      const path = join(this.directory, entry.name);
      if (statSync(path).blocks === 0) {
        rmSync(path, { force: true });
        continue;
      }
      const aside = join(this.directory, 'rescued');
      mkdirSync(aside, { recursive: true, mode: 0o700 });
      renameSync(path, join(aside, entry.name));
      rescued.push(entry.name);
    }
    return rescued;
  }
}
