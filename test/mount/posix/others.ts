/** Answers the requests of compare.py about the service behind the mount: to delay uploads, and to act as another client. */
import { basename, dirname } from 'node:path';
import type { ProviderName } from '../../../src/sandbox/index.js';
import { traits } from '../subjects.js';
import type { World } from '../world.js';
import { type Limits, treeOf } from './trees.js';

/** A request of compare.py: its name and its arguments. Paths are relative to the run's directory. */
export type Question = readonly [name: string, ...told: readonly unknown[]];

/**
 * How long a delayed request takes, ms. A call that cancels an upload may wait up to a second for the answer (docs/semantics.md). The
 * delay is shorter than that, or every step would take a second.
 */
const HELD_UP_MS = 200;
/** If the upload of a closed file has not begun after this time, the mount waits for the next save of an often rewritten file, ms. */
const SOON_MS = 400;

export class Others {
  readonly #world: World;
  readonly #provider: ProviderName;
  readonly #limits: Limits;
  readonly #local: (name: string) => string;
  /** The number of uploads that a step met in flight. */
  met = 0;
  /** The number of another client's acts. */
  acts = 0;
  /** The id of the current delay, a fault rule of the sandbox. */
  #rule: number | null = null;
  /** The time at which the file was closed and its upload had not begun, ms. */
  #closedAt: number | null = null;

  /** `local` returns the ordinary directory of a run. */
  constructor(world: World, provider: ProviderName, limits: Limits, local: (name: string) => string) {
    this.#world = world;
    this.#provider = provider;
    this.#limits = limits;
    this.#local = local;
  }

  /** Answers a request about the run of that name. */
  async answer(run: string, [name, ...told]: Question): Promise<unknown> {
    const texts = told.map(String);
    const [first = '', path = '', to = ''] = texts;
    switch (name) {
      case 'delay':
        return this.#delay(Number(first), path === 'after' ? 'after' : 'before', to === 'true');
      case 'is uploading':
        return this.#isUploading(`/${run}/${first}`, path === 'true');
      case 'go on':
        return this.#goOn();
      case 'can':
        return this.#can(run, first, path, to);
      case 'do':
        return this.#do(run, first, path, to);
      default:
        throw new Error(`compare.py asks ${name}`);
    }
  }

  /** Delays the next upload's `nth` request: before the service acts, or before it answers. */
  #delay(nth: number, when: 'before' | 'after', performed: boolean): void {
    const { bringing } = traits[this.#provider];
    this.#closedAt = null;
    const action = { kind: 'stall', ms: HELD_UP_MS, when, performed } as const;
    this.#rule = this.#world.sandbox.faults.add({ ...bringing, nth, action });
  }

  /** True if the delayed request has come, or if none will come. `isClosed`: close(2) has returned. */
  async #isUploading(path: string, isClosed: boolean): Promise<boolean> {
    if (this.#rule === null || this.#world.sandbox.faults.fired(this.#rule) > 0) return true;
    if (!isClosed) return false;
    this.#closedAt ??= Date.now();
    if (Date.now() - this.#closedAt > SOON_MS) return true;
    const { pending } = await this.#world.status();
    return !pending.some((upload) => upload.path === path);
  }

  /** Ends the delay for later requests. A request that is already delayed goes on by itself, soon. */
  #goOn(): void {
    const { faults } = this.#world.sandbox;
    if (this.#rule !== null && faults.fired(this.#rule) > 0) this.met++;
    if (this.#rule !== null) faults.clear(this.#rule);
    this.#rule = null;
  }

  /**
   * True if the service holds everything below the path as the ordinary directory does, so that another client can act on it. Before
   * a move, files may have open changes: a moved file, or a directory that keeps its parent. If directories exist only through their
   * files, they stay in the mount when their files go, so the other client must not remove them.
   */
  async #can(run: string, how: string, path: string, to: string): Promise<boolean> {
    const { store } = this.#world.sandbox;
    const top = `/${run}/${path}`;
    const isWithin = (at: string): boolean => at === top || at.startsWith(`${top}/`);
    const { pending, failed } = await this.#world.status();
    const found = store.stat(top);
    const isFollowed = how === 'move' && (found?.kind === 'file' || dirname(path) === dirname(to));
    const open = isFollowed ? ['open'] : [];
    if ([...pending, ...failed].some((upload) => isWithin(upload.path) && !open.includes(upload.state))) return false;
    if (found === undefined || (found.kind === 'folder' && this.#limits.forgetsEmptyDirectories)) return false;
    const held = new Map(store.tree().map((entry) => [entry.path, entry]));
    const wanted = await treeOf(this.#local(run), this.#limits, { has: (at) => held.has(`/${run}/${at}`) });
    return [...wanted].every(([at, what]) => {
      const full = `/${run}/${at}`;
      if (!isWithin(full)) return true;
      const entry = held.get(full);
      if (what === 'directory' || entry?.kind === 'folder') return what === 'directory' && entry?.kind === 'folder';
      return entry?.status === 'normal' && (entry.md5 === what || isFollowed);
    });
  }

  #do(run: string, how: string, path: string, to: string): void {
    const { store } = this.#world.sandbox;
    const [from, target] = [`/${run}/${path}`, `/${run}/${to}`];
    this.acts++;
    if (how !== 'move') {
      store.remove(from, { trash: true });
      return;
    }
    if (dirname(from) === dirname(target)) store.rename(from, basename(target));
    else store.move(from, dirname(target), basename(target));
  }
}
