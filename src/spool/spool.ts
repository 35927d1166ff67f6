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
import type { RemoteFile } from '../providers/provider.js';
import { FreeSpace } from './free-space.js';
import { FreeSpaceWatch } from './free-space-watch.js';
import type { UploadRow } from './journal.js';
import { SpoolFile, type SpoolFileOptions } from './spool-file.js';

/** Where `sweep` puts what it finds. */
const RESCUED = 'rescued';

export interface SpoolOptions {
  /** See `Room`. */
  readonly reclaim?: ((bytes: number) => void) | undefined;
  readonly clock?: Clock;
  /** Has anybody but this descriptor the file open? */
  readonly isOpenElsewhere?: ((fd: number) => boolean) | undefined;
  /** Has anybody the file open or mapped for writing? The descriptor itself only reads. */
  readonly isOpenForWriting?: ((fd: number) => boolean) | undefined;
  /** Files can be moved here from the cache, and back: both are on one file system. */
  readonly takesCacheFiles?: boolean;
  /** See `SpoolFileOptions`. */
  readonly digestBlockBytes?: number | undefined;
}

/** The directory of spool files. */
export class Spool {
  readonly directory: string;
  /** For those who write to spool files without asking. */
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
    }: SpoolOptions = {},
  ) {
    this.directory = directory;
    this.#isOpenElsewhere = isOpenElsewhere;
    this.#isOpenForWriting = isOpenForWriting;
    this.takesCacheFiles = takesCacheFiles;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#freeSpace = new FreeSpace(directory, reclaim);
    this.#fileOptions = { freeSpace: this.#freeSpace, digestBlockBytes };
    this.freeSpaceWatch = new FreeSpaceWatch(this.#freeSpace, `${directory}.reserve`, clock);
    // Names count up and are never used twice, so that a file left by a crash is not taken for a new one.
    const names = [...filesIn(directory), ...filesIn(join(directory, RESCUED))];
    this.#next = 1 + names.reduce((last, name) => Math.max(last, numberOf(name)), 0);
  }

  /** Before something is to be written down: see `Room.keepReserve`. */
  keepReserve(): void {
    this.#freeSpace.keepReserve();
  }

  /** The journal names these, whether their files are still there or not. */
  reserveNames(names: Iterable<string>): void {
    for (const name of names) this.#next = Math.max(this.#next, numberOf(name) + 1);
  }

  /** A new spool file that starts from `base`; it is on disk once this resolves. */
  async create(base: RemoteFile | null): Promise<{ name: string; file: SpoolFile }> {
    const name = (this.#next++).toString(36);
    const file = new SpoolFile(join(this.directory, name), base, undefined, this.#fileOptions);
    try {
      await file.create();
    } catch (error) {
      await file.remove();
      throw error;
    }
    return { name, file };
  }

  /** Bytes of the file of a journal row on disk; null where it is missing. */
  sizeOf(row: Pick<UploadRow, 'spool'>): number | null {
    return statSync(join(this.directory, row.spool), { throwIfNoEntry: false })?.size ?? null;
  }

  /**
   * Makes the file of a journal row ours alone. A program that the kernel lets write to it (passthrough) can go on with that
   * when the mount is dead, and hears of it only at its close: what it writes from here on goes to a file that nobody sees.
   * Throws where a copy cannot be made.
   */
  isolate({ spool }: Pick<UploadRow, 'spool'>): void {
    const path = join(this.directory, spool);
    if (this.#isOpenElsewhere === undefined || !existsSync(path)) return;
    const fd = openSync(path, 'r+');
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

  /** Gives a file another name in here. Throws what rename(2) says. */
  move(path: string, to: string): true {
    renameSync(path, to);
    return true;
  }

  /** Removes a file that is no content's any more; answers its name. */
  remove(path: string): string {
    rmSync(path, { force: true });
    return basename(path);
  }

  /** Does anybody else write to a spool file, maybe through a mapping that outlives its descriptor? */
  async isWrittenElsewhere(file: SpoolFile): Promise<boolean> {
    if (this.#isOpenForWriting === undefined) return false;
    // Our own descriptor would count.
    await file.close();
    const fd = openSync(file.path, 'r');
    try {
      return this.#isOpenForWriting(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Makes the file of a journal row one of these bytes. */
  restore(row: Pick<UploadRow, 'spool'>, bytes: Uint8Array): void {
    writeFileSync(join(this.directory, row.spool), bytes, { mode: 0o600 });
  }

  /** Takes away what the file of a journal row has behind the end of its content. */
  truncateToContent({ spool, content }: UploadRow): void {
    truncateSync(join(this.directory, spool), content.size);
  }

  /** The spool file of a journal row. */
  open(row: UploadRow): SpoolFile {
    return new SpoolFile(join(this.directory, row.spool), row.base, row.content, this.#fileOptions);
  }

  /**
   * Deals with files that no journal row names. Those that were dropped go, and empty ones, made by a process that died
   * before it wrote the row. Any other is content whose row was lost, and is set aside in `rescued/`. Answers the names of
   * the latter.
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
