/**
 * The directory of spool files: makes, opens, moves and removes them. It knows nothing of inodes and uploads.
 * Invariant: a name is never used twice, and no file is removed unless it is empty or the journal calls it garbage.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { type Clock, systemClock } from '../base/clock.js';
import type { ContentHasher } from '../base/content-hasher.js';
import { codeOf } from '../base/errors.js';
import type { SparseCalls } from '../base/sparse-calls.js';
import type { RemoteFile } from '../providers/provider.js';
import { FreeSpace } from './free-space.js';
import { FreeSpaceWatch } from './free-space-watch.js';
import type { UploadRow } from './journal.js';
import { SpoolFile, type SpoolFileOptions } from './spool-file.js';

/** The directory for files without a row: `sweep` moves them there. */
const RESCUED = 'rescued';

export interface SpoolOptions {
  /** See `FreeSpace`. */
  readonly reclaim?: ((bytes: number) => void) | undefined;
  readonly clock?: Clock;
  /** Answers true if the file is open through another descriptor than this one. */
  readonly isOpenElsewhere?: ((fd: number) => boolean) | undefined;
  /** Answers true if the file is open or mapped for writing anywhere. The descriptor itself is read-only. */
  readonly isOpenForWriting?: ((fd: number) => boolean) | undefined;
  /** Files can be moved between the cache and the spool, because both are on one file system. */
  readonly takesCacheFiles?: boolean;
  /** See `SpoolFileOptions`. */
  readonly digestBlockBytes?: number | undefined;
  /** See `SpoolFileOptions`. */
  readonly hasher?: ContentHasher | undefined;
  /** See `SpoolFileOptions`. */
  readonly sparse?: SparseCalls | undefined;
  /** See `SpoolFileOptions`. */
  readonly syncFile?: SpoolFileOptions['syncFile'];
}

export class Spool {
  readonly directory: string;
  /** For passthrough writes to spool files. */
  readonly freeSpaceWatch: FreeSpaceWatch;
  /** See `SpoolOptions`. */
  readonly takesCacheFiles: boolean;
  readonly #freeSpace: FreeSpace;
  readonly #fileOptions: SpoolFileOptions;
  #next: number;

  readonly #isOpenElsewhere: ((fd: number) => boolean) | undefined;
  readonly #isOpenForWriting: ((fd: number) => boolean) | undefined;

  constructor(
    directory: string,
    {
      reclaim,
      clock = systemClock,
      isOpenElsewhere,
      isOpenForWriting,
      takesCacheFiles = true,
      digestBlockBytes,
      hasher,
      sparse,
      syncFile,
    }: SpoolOptions = {},
  ) {
    this.directory = directory;
    this.#isOpenElsewhere = isOpenElsewhere;
    this.#isOpenForWriting = isOpenForWriting;
    this.takesCacheFiles = takesCacheFiles;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#freeSpace = new FreeSpace(directory, reclaim);
    this.#fileOptions = { freeSpace: this.#freeSpace, digestBlockBytes, hasher, sparse, syncFile };
    this.freeSpaceWatch = new FreeSpaceWatch(this.#freeSpace, `${directory}.reserve`, clock);
    // Names count up and are never reused, so that no file left by a crash is taken for a new one. They start at the present time: a state
    // database restored from a backup has rows of removed files, and must not find other contents under those names.
    const names = [...filesIn(directory), ...filesIn(join(directory, RESCUED))];
    this.#next = names.reduce((last, name) => Math.max(last, 1 + numberOf(name)), Math.max(1, Math.floor(clock.now())));
  }

  /** Called before the journal or the inode table is written: see `FreeSpace.keepReserve`. */
  keepReserve(): boolean {
    return this.#freeSpace.keepReserve();
  }

  /** Never uses these names for new files: they are in the journal, even if their files are gone. */
  reserveNames(names: Iterable<string>): void {
    for (const name of names) this.#next = Math.max(this.#next, numberOf(name) + 1);
  }

  /** A new spool file that starts from `base`. It is on disk when this resolves. */
  async create(base: RemoteFile | null): Promise<{ name: string; file: SpoolFile }> {
    const made = this.#newFile(base);
    try {
      await made.file.create();
    } catch (error) {
      await made.file.remove();
      throw error;
    }
    return made;
  }

  /** A new spool file without content or base. It is on disk when this returns. */
  createEmpty(): { name: string; file: SpoolFile } {
    const made = this.#newFile(null);
    // Without a base there is nothing to wait for.
    void made.file.create();
    return made;
  }

  #newFile(base: RemoteFile | null): { name: string; file: SpoolFile } {
    const name = (this.#next++).toString(36);
    return { name, file: new SpoolFile(join(this.directory, name), base, undefined, this.#fileOptions) };
  }

  /** The size of a journal row's file on disk, bytes; null if it is missing. */
  sizeOf(row: Pick<UploadRow, 'spool'>): number | null {
    return statSync(join(this.directory, row.spool), { throwIfNoEntry: false })?.size ?? null;
  }

  /**
   * Replaces the file of a journal row by a copy if another process has it open. A program with a passthrough descriptor can go on writing
   * after the mount has died, and gets an error only at its close. Its later writes then go to the unlinked original. Throws if a copy
   * cannot be made.
   */
  unshare({ spool }: Pick<UploadRow, 'spool'>): void {
    const path = join(this.directory, spool);
    if (this.#isOpenElsewhere === undefined) return;
    const fd = openIfThere(path);
    if (fd === null) return;
    try {
      if (!this.#isOpenElsewhere(fd)) return;
    } finally {
      closeSync(fd);
    }
    const copy = `${this.directory}.copy`;
    try {
      copyFileSync(path, copy, constants.COPYFILE_FICLONE);
      const copied = openSync(copy, 'r+');
      try {
        fsyncSync(copied);
      } finally {
        closeSync(copied);
      }
      renameSync(copy, path);
    } finally {
      rmSync(copy, { force: true });
    }
  }

  /** Renames a file within the spool. Throws the error of rename(2). */
  move(path: string, to: string): true {
    renameSync(path, to);
    return true;
  }

  /** Removes a file with a content that is no longer needed. Answers its name. */
  remove(path: string): string {
    rmSync(path, { force: true });
    return basename(path);
  }

  /** True if another process may write to a spool file, perhaps through a mapping that outlives its descriptor. */
  async isWrittenElsewhere(file: SpoolFile): Promise<boolean> {
    if (this.#isOpenForWriting === undefined) return false;
    // This mount's own descriptor would count.
    await file.close();
    const fd = openSync(file.path, 'r');
    try {
      return this.#isOpenForWriting(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Writes the file of a journal row again with these bytes. */
  restore(row: Pick<UploadRow, 'spool'>, bytes: Uint8Array): void {
    writeFileSync(join(this.directory, row.spool), bytes, { mode: 0o600 });
  }

  /** Truncates the file of a journal row to the size of its content. */
  truncateToContent({ spool, content }: UploadRow): void {
    truncateSync(join(this.directory, spool), content.size);
  }

  /** The spool file of a journal row. */
  open(row: UploadRow): SpoolFile {
    return new SpoolFile(join(this.directory, row.spool), row.base, row.content, this.#fileOptions);
  }

  /**
   * Cleans up files without a journal row. It removes garbage (`dropped`), and empty files, whose process died before it wrote the row. Any
   * other file is a content that has lost its row, and moves to `rescued/`. Answers the names of the moved files.
   */
  sweep(named: ReadonlySet<string>, dropped: ReadonlySet<string>): string[] {
    const rescued: string[] = [];
    for (const name of filesIn(this.directory)) {
      if (named.has(name)) continue;
      const path = join(this.directory, name);
      if (dropped.has(name) || statSync(path).blocks === 0) {
        rmSync(path, { force: true });
        continue;
      }
      const aside = join(this.directory, RESCUED);
      mkdirSync(aside, { recursive: true, mode: 0o700 });
      renameSync(path, join(aside, name));
      rescued.push(name);
    }
    return rescued;
  }
}

function filesIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}

function numberOf(name: string): number {
  const number = Number.parseInt(name, 36);
  return number.toString(36) === name ? number : 0;
}

function openIfThere(path: string): number | null {
  try {
    return openSync(path, 'r+');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
