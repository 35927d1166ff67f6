/**
 * Lists directories ahead of a program that walks the tree (`find`, `ls -R`, `rsync`).
 *
 * It stays only a few directories ahead: a listing that the program uses a minute later is stale and made again, and a walk that ends after
 * two directories should cost few requests. If the program takes the directories in another order, the lead grows.
 */
import pLimit from 'p-limit';
import { codeOf, messageOf } from '../base/errors.js';
import { inTurns, Pieces } from '../base/event-loop-turns.js';
import type { Log } from '../base/log.js';
import { WalkDetector } from './freshness.js';
import type { Ino, Inode } from './inode.js';
import type { InodeTable } from './inode-table.js';
import { scanning } from './scan.js';

/** The number of listings in flight: half of the connections to a host, each busy for a round trip. */
export const LISTINGS_AHEAD = 16;
/** The number of directories listed, or being listed, before the program looks at them: two round trips ahead. */
const LEAD = 2 * LISTINGS_AHEAD;
/** The number of walks that are remembered. A deep tree needs one for each directory above the present one. */
const MAX_WALKS = 64;

/** The directories of one parent, which a program lists one after the other. */
interface Walk {
  /** Directories listed ahead that the program has not looked at yet. */
  readonly ahead: Set<Ino>;
  lead: number;
  isOver: boolean;
  /** Called when the program has looked at another directory. */
  wake: () => void;
}

export interface WalkAheadOptions {
  readonly table: InodeTable;
  readonly log: Log;
  /** Lists a directory. */
  readonly list: (ino: Ino) => Promise<void>;
  readonly closing: AbortSignal;
}

export class WalkAhead {
  readonly #o: WalkAheadOptions;
  readonly #detector = new WalkDetector();
  readonly #limit = pLimit(LISTINGS_AHEAD);
  /** The walks by parent, oldest first. */
  readonly #walks = new Map<Ino, Walk>();
  /** The last directory with only listed children, and the time of its listing then: a walk need not check it again. */
  #allListed: { readonly parent: Ino; readonly listedAt: number | null } | null = null;

  constructor(options: WalkAheadOptions) {
    this.#o = options;
  }

  /** Call when a program lists `ino`, before it is listed. */
  walked(ino: Ino, now: number): void {
    const { table } = this.#o;
    const directory = table.get(ino);
    const parent = directory?.parent ?? null;
    const isWalk = this.#detector.listed(ino, parent, now);
    const walk = parent === null ? undefined : this.#walks.get(parent);
    if (walk !== undefined) {
      if (!walk.ahead.delete(ino) && directory?.listedAt === null) walk.lead *= 2;
      walk.wake();
    }
    if (!isWalk || parent === null || walk !== undefined) return;
    const listedAt = table.get(parent)?.listedAt ?? null;
    if (this.#allListed?.parent === parent && this.#allListed.listedAt === listedAt) return;
    const begun: Walk = { ahead: new Set(), lead: LEAD, isOver: false, wake: () => undefined };
    this.#walks.set(parent, begun);
    this.#forgetOldest();
    this.#go(begun, parent, ino, listedAt)
      .catch((error) => this.#o.log.debug({ parent, code: codeOf(error) }, `listing ahead failed: ${messageOf(error)}`))
      .finally(() => {
        if (this.#walks.get(parent) === begun) this.#walks.delete(parent);
      });
  }

  #forgetOldest(): void {
    for (const [parent, walk] of this.#walks) {
      if (this.#walks.size <= MAX_WALKS) return;
      walk.isOver = true;
      walk.wake();
      this.#walks.delete(parent);
    }
  }

  async #go(walk: Walk, parent: Ino, present: Ino, listedAt: number | null): Promise<void> {
    const unlisted = await this.#unlistedIn(parent);
    if (unlisted.length === 0) this.#allListed = { parent, listedAt };
    const work: Promise<void>[] = [];
    for (const ino of unlisted) {
      while (walk.ahead.size >= walk.lead && !walk.isOver)
        await new Promise<void>((wake) => {
          walk.wake = wake;
        });
      if (walk.isOver || this.#o.closing.aborted) break;
      if (!this.#isUnlisted(this.#o.table.peek(ino))) continue;
      if (ino !== present) walk.ahead.add(ino);
      work.push(this.#limit(() => this.#list(ino)));
    }
    await Promise.all(work);
  }

  /** The children that were never listed. A small directory is read without a turn, because the walk goes on meanwhile. */
  async #unlistedIn(parent: Ino): Promise<Ino[]> {
    const { table } = this.#o;
    const unlistedOf = (child: Inode): Ino[] => (this.#isUnlisted(child) ? [child.ino] : []);
    if (!table.isLarge(parent)) return table.children(parent).flatMap(unlistedOf);
    return (await inTurns(scanning(table, parent, unlistedOf, new Pieces()))).flat();
  }

  #isUnlisted(inode: Inode | undefined): boolean {
    return inode?.kind === 'directory' && inode.listedAt === null;
  }

  async #list(ino: Ino): Promise<void> {
    const { table, list, log, closing } = this.#o;
    try {
      if (this.#isUnlisted(table.peek(ino)) && !closing.aborted) await list(ino);
    } catch (error) {
      log.debug({ ino, code: codeOf(error) }, `listing ahead failed: ${messageOf(error)}`);
    }
  }
}
