/** What compare.py asks of the service behind the mount: to hold uploads up on their way, and to be another client. */
import { basename, dirname } from 'node:path';
import type { ProviderName } from '../../../src/sandbox/index.js';
import { traits } from '../subjects.js';
import type { World } from '../world.js';
import { type Limits, treeOf } from './trees.js';

/** A question: its name and what it is about. Paths are relative to the run's directory. */
export type Question = readonly [name: string, ...told: readonly unknown[]];

/**
 * Longest that a held-up request takes by itself, ms. Who breaks it off may wait for its answer, up to a second
 * (docs/semantics.md): less than that, or every step would take it.
 */
const HELD_UP_MS = 200;
/** A closed content whose upload has not begun after this waits for the next save of a file that is rewritten often, ms. */
const SOON_MS = 400;

export class Others {
  readonly #world: World;
  readonly #provider: ProviderName;
  readonly #limits: Limits;
  readonly #local: (name: string) => string;
  /** Uploads that were met on their way. */
  met = 0;
  /** What another client did. */
  acts = 0;
  /** The delay that is in force. */
  #rule: number | null = null;
  /** When the file was seen to be closed while its upload had not begun, ms. */
  #closedAt: number | null = null;

  /** `local`: where the ordinary directory of a run is. */
  constructor(world: World, provider: ProviderName, limits: Limits, local: (name: string) => string) {
    this.#world = world;
    this.#provider = provider;
    this.#limits = limits;
    this.#local = local;
  }

  /** Answers a question about the run of that name. */
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

  /** The next upload's `nth` request is held up: before the service has acted, or before it answers. */
  #delay(nth: number, when: 'before' | 'after', performed: boolean): void {
    const { bringing } = traits[this.#provider];
    this.#closedAt = null;
    const action = { kind: 'stall', ms: HELD_UP_MS, when, performed } as const;
    this.#rule = this.#world.sandbox.faults.add({ ...bringing, nth, action });
  }

  /** True also where there is nothing more to wait for. `isClosed`: close(2) has returned. */
  async #isUploading(path: string, isClosed: boolean): Promise<boolean> {
    if (this.#rule === null || this.#world.sandbox.faults.fired(this.#rule) > 0) return true;
    if (!isClosed) return false;
    this.#closedAt ??= Date.now();
    if (Date.now() - this.#closedAt > SOON_MS) return true;
    const { pending } = await this.#world.status();
    return !pending.some((upload) => upload.path === path);
  }

  /** What is held up goes on by itself, soon; nothing else is. */
  #goOn(): void {
    const { faults } = this.#world.sandbox;
    if (this.#rule !== null && faults.fired(this.#rule) > 0) this.met++;
    if (this.#rule !== null) faults.clear(this.#rule);
    this.#rule = null;
  }

  /**
   * Has the service all of it, as the ordinary directory has? Of what is moved, changes may be open, in a directory where it is renamed. Directories that exist through
   * their files alone stay in the mount when their files go, so they are not removed.
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
