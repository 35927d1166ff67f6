/** Does random work in one directory of the mount, and knows what the directory must contain. */
import { join } from 'node:path';
import { Choices, freeDirectory, freshPath } from './choices.js';
import type { FileWorker } from './file-worker.js';
import {
  contentOf,
  directoriesOf,
  directory,
  entriesOf,
  type FileNode,
  fifo,
  filesOf,
  isCertain,
  moved,
  otherNames,
  renamed,
  stored,
  type Tree,
  withFile,
  withNode,
  without,
} from './model.js';
import type { Abilities } from './services.js';

interface Descriptor {
  readonly fd: number;
  /** The descriptor has O_APPEND: every write goes to the end. */
  readonly appends: boolean;
  /** Null: the name is gone. */
  path: string | null;
}

/** A read returned other bytes than those that were written. */
export class WrongContent extends Error {}

/** Descriptors kept open at once. */
const MOST_HELD = 2;
/** Steps kept for the report of a failure. */
const KEPT_STEPS = 60;

export class Actor {
  readonly name: string;
  /** The tree, if nothing is in doubt. */
  tree: Tree = new Map();
  /** While a call is under way: the trees that it may leave. */
  possible: readonly Tree[] | null = null;
  /** The last steps, for people. */
  readonly steps: string[] = [];
  /** The number of calls that succeeded. */
  operations = 0;
  readonly #top: string;
  readonly #worker: FileWorker;
  readonly #choices: Choices;
  readonly #abilities: Abilities;
  #held: Descriptor[] = [];
  #inodes = 1;

  constructor(name: string, mountpoint: string, worker: FileWorker, random: () => number, abilities: Abilities) {
    this.name = name;
    this.#top = join(mountpoint, name);
    this.#worker = worker;
    this.#choices = new Choices(random);
    this.#abilities = abilities;
  }

  get top(): string {
    return this.#top;
  }

  /** Takes the tree that was found and compared after a kill. From here on it is the truth. */
  settle(tree: Tree): void {
    this.tree = tree;
    this.possible = null;
    this.#note(`-- found ${[...tree.keys()].sort().join(' ')}`);
  }

  /** Drops the descriptors of a mount that is gone. */
  async forget(): Promise<void> {
    const held = this.#held;
    this.#held = [];
    // The mount cannot answer, but the descriptor is closed all the same.
    for (const { fd } of held) await this.#worker.close(fd).catch(() => undefined);
  }

  /** Closes what is open, as a program does at its end. */
  async closeAll(): Promise<void> {
    for (const descriptor of [...this.#held]) await this.#close(descriptor);
  }

  /** One piece of work. Rejects with `CallFailed`, or `WrongContent`. */
  async step(): Promise<void> {
    const file = this.#choices.pick(this.#files());
    const named = this.#choices.pick(filesOf(this.tree).map(([path]) => path));
    const held = this.#choices.pick(this.#held);
    const choices: [number, () => Promise<void>][] = [
      [6, () => this.#create(freshPath(this.tree, this.#choices))],
      [1, () => this.#mkdir()],
      [1, () => this.#rmdir()],
    ];
    const entry = this.#choices.pick(entriesOf(this.tree));
    choices.push(
      [2, () => this.#symlink(freshPath(this.tree, this.#choices))],
      [1, () => this.#mkfifo(freshPath(this.tree, this.#choices))],
    );
    if (entry !== undefined) {
      choices.push([2, () => this.#renameEntry(entry, freshPath(this.tree, this.#choices))]);
      choices.push([2, () => this.#unlink(entry)]);
      if (named !== undefined) {
        choices.push([2, () => this.#renameEntry(entry, named)]);
        choices.push([2, () => this.#rename(named, entry)]);
      }
    }
    if (this.#abilities.moveDirectories) choices.push([1, () => this.#renameDirectory()]);
    if (held !== undefined) choices.push([6, () => this.#useHeld(held)]);
    // Names change whoever has the file open.
    if (named !== undefined) {
      choices.push([4, () => this.#rename(named, freshPath(this.tree, this.#choices))]);
      choices.push([4, () => this.#replace(named)]);
      choices.push([3, () => this.#link(named, freshPath(this.tree, this.#choices))]);
      choices.push([3, () => this.#unlink(named)]);
    }
    if (file !== undefined) {
      choices.push([4, () => this.#overwrite(file)]);
      choices.push([4, () => this.#change(file)]);
      choices.push([3, () => this.#append(file)]);
      choices.push([2, () => this.#truncate(file)]);
      choices.push([3, () => this.#saveLikeAnEditor(file)]);
      choices.push([2, () => this.#read(file)]);
    }
    await this.#choices.weighted(choices)();
  }

  async #create(path: string | null): Promise<void> {
    if (path === null) return;
    const descriptor = await this.#open(path, 'wx', withNode(this.tree, path, this.#newFile()));
    for (let pieces = this.#choices.integer(4); pieces > 0; pieces--)
      await this.#write(descriptor, this.#choices.content(), null);
    await this.#leave(descriptor);
  }

  async #overwrite(path: string): Promise<void> {
    const descriptor = await this.#open(path, 'w', this.#changed(path, Buffer.alloc(0)));
    for (let pieces = 1 + this.#choices.integer(2); pieces > 0; pieces--)
      await this.#write(descriptor, this.#choices.content(), null);
    await this.#leave(descriptor);
  }

  async #change(path: string): Promise<void> {
    const descriptor = await this.#open(path, 'r+', this.tree);
    await this.#writeAnywhere(descriptor);
    await this.#leave(descriptor);
  }

  async #append(path: string): Promise<void> {
    const descriptor = await this.#open(path, 'a', this.tree);
    await this.#write(descriptor, this.#choices.content(), null);
    await this.#leave(descriptor);
  }

  async #saveLikeAnEditor(path: string): Promise<void> {
    const draft = freshPath(this.tree, this.#choices);
    if (draft === null) return;
    const descriptor = await this.#open(draft, 'wx', withNode(this.tree, draft, this.#newFile()));
    await this.#write(descriptor, this.#choices.content(), null);
    await this.#fsync(descriptor);
    await this.#close(descriptor);
    await this.#rename(draft, path);
  }

  async #useHeld(descriptor: Descriptor): Promise<void> {
    const choice = this.#choices.share();
    if (choice < 0.3) return this.#close(descriptor);
    await this.#writeAnywhere(descriptor);
    if (choice < 0.8) await this.#fsync(descriptor);
  }

  /** Closes what was written, mostly; or leaves it open, with or without an fsync. */
  async #leave(descriptor: Descriptor): Promise<void> {
    if (this.#choices.share() < 0.25) await this.#fsync(descriptor);
    if (this.#choices.share() < 0.2 && this.#held.length <= MOST_HELD) return;
    await this.#close(descriptor);
  }

  #truncate(path: string): Promise<void> {
    const before = this.#contentAt(path);
    const size =
      this.#choices.share() < 0.7
        ? this.#choices.integer(before.length + 1)
        : before.length + this.#choices.integer(5000);
    const after = Buffer.alloc(size);
    before.copy(after);
    const done = withFile(this.tree, stored(after, this.#fileAt(path).inode));
    return this.#call(`truncate ${path} to ${size}`, [this.#changed(path, after)], done, () =>
      this.#worker.truncate(this.#absolute(path), size),
    );
  }

  async #replace(path: string): Promise<void> {
    // rename(2) of one name of a file to another one does nothing.
    const own = [path, ...otherNames(this.tree, path)];
    const target = this.#choices.pick(filesOf(this.tree).flatMap(([other]) => (own.includes(other) ? [] : [other])));
    if (target !== undefined) await this.#rename(path, target);
  }

  async #rename(from: string, to: string | null): Promise<void> {
    if (to === null) return;
    const done = renamed(this.tree, from, to);
    const copied = withNode(this.tree, to, { ...this.#fileAt(from), inode: this.#inodes++ });
    const between = this.#abilities.renameCopies ? [copied] : [];
    const others = otherNames(this.tree, to);
    await this.#call(`rename ${from} to ${to}`, between, done, () =>
      this.#worker.rename(this.#absolute(from), this.#absolute(to)),
    );
    this.#nameGone(to, others);
    this.#moveHeld(from, to);
  }

  async #symlink(path: string | null): Promise<void> {
    if (path === null) return;
    const target = `to-${this.#choices.integer(1_000_000)}`;
    await this.#call(`symlink ${path} to ${target}`, [], withNode(this.tree, path, { kind: 'link', target }), () =>
      this.#worker.symlink(target, this.#absolute(path)),
    );
  }

  async #mkfifo(path: string | null): Promise<void> {
    if (path === null) return;
    await this.#call(`mkfifo ${path}`, [], withNode(this.tree, path, fifo), () =>
      this.#worker.mkfifo(this.#absolute(path)),
    );
  }

  async #link(path: string, to: string | null): Promise<void> {
    if (to === null) return;
    await this.#call(`link ${path} to ${to}`, [], withNode(this.tree, to, this.#fileAt(path)), () =>
      this.#worker.link(this.#absolute(path), this.#absolute(to)),
    );
  }

  /** A link or a FIFO, also in the place of a file. */
  async #renameEntry(from: string, to: string | null): Promise<void> {
    if (to === null) return;
    const others = otherNames(this.tree, to);
    await this.#call(`rename entry ${from} to ${to}`, [], renamed(this.tree, from, to), () =>
      this.#worker.rename(this.#absolute(from), this.#absolute(to)),
    );
    this.#nameGone(to, others);
  }

  async #renameDirectory(): Promise<void> {
    const from = this.#choices.pick(directoriesOf(this.tree));
    const to = freeDirectory(this.tree, this.#choices);
    if (from === undefined || to === null) return;
    await this.#call(`rename directory ${from} to ${to}`, [], renamed(this.tree, from, to), () =>
      this.#worker.rename(this.#absolute(from), this.#absolute(to)),
    );
    this.#moveHeld(from, to);
  }

  async #unlink(path: string): Promise<void> {
    const others = otherNames(this.tree, path);
    await this.#call(`unlink ${path}`, [], without(this.tree, path), () => this.#worker.unlink(this.#absolute(path)));
    this.#nameGone(path, others);
  }

  async #mkdir(): Promise<void> {
    const path = freeDirectory(this.tree, this.#choices);
    if (path === null) return;
    await this.#call(`mkdir ${path}`, [], withNode(this.tree, path, directory), () =>
      this.#worker.mkdir(this.#absolute(path)),
    );
  }

  async #rmdir(): Promise<void> {
    const isEmpty = (path: string): boolean => ![...this.tree.keys()].some((other) => other.startsWith(`${path}/`));
    const path = this.#choices.pick(directoriesOf(this.tree).filter(isEmpty));
    if (path === undefined) return;
    await this.#call(`rmdir ${path}`, [], without(this.tree, path), () => this.#worker.rmdir(this.#absolute(path)));
  }

  async #read(path: string): Promise<void> {
    let content: Buffer | null = null as Buffer | null;
    await this.#call(`read ${path}`, [], this.tree, async () => {
      content = await this.#worker.read(this.#absolute(path));
    });
    const expected = this.#contentAt(path);
    if (content === null || content.equals(expected)) return;
    const at = content.findIndex((byte, index) => byte !== expected[index]);
    throw new WrongContent(
      `${this.name}/${path} reads ${content.length} of ${expected.length} bytes, wrong from ${at} on`,
    );
  }

  async #open(path: string, flags: string, after: Tree): Promise<Descriptor> {
    let fd = -1;
    await this.#call(`open ${path} ${flags}`, [], after, async () => {
      fd = await this.#worker.open(this.#absolute(path), flags);
    });
    const descriptor = { fd, path, appends: flags.startsWith('a') };
    this.#held.push(descriptor);
    return descriptor;
  }

  #writeAnywhere(descriptor: Descriptor): Promise<void> {
    const size = descriptor.path === null ? 0 : this.#contentAt(descriptor.path).length;
    return this.#write(descriptor, this.#choices.content(), this.#choices.integer(size + 1000));
  }

  /** At the end where `at` is null. */
  async #write(descriptor: Descriptor, data: Buffer, at: number | null): Promise<void> {
    const { fd, path } = descriptor;
    if (path === null)
      return this.#call('write to a removed file', [], this.tree, () => this.#worker.write(fd, data, at));
    const before = this.#contentAt(path);
    const from = at === null || descriptor.appends ? before.length : at;
    const after = Buffer.alloc(Math.max(before.length, from + data.length));
    before.copy(after);
    data.copy(after, from);
    const what = `write ${path} ${data.length} bytes at ${from}`;
    await this.#call(what, [], this.#changed(path, after), () => this.#worker.write(fd, data, from));
  }

  #fsync({ fd, path }: Descriptor): Promise<void> {
    return this.#call(`fsync ${path}`, [], this.#promised(path), () => this.#worker.fsync(fd));
  }

  async #close(descriptor: Descriptor): Promise<void> {
    const { fd, path } = descriptor;
    this.#held = this.#held.filter((other) => other !== descriptor);
    await this.#call(`close ${path}`, [], this.#promised(path), () => this.#worker.close(fd));
  }

  /** Until `act` returns, its change may have happened completely, in part, or not at all. */
  async #call(what: string, between: readonly Tree[], done: Tree, act: () => Promise<void>): Promise<void> {
    this.#note(what);
    this.possible = [this.tree, ...between, done];
    try {
      await act();
    } catch (error) {
      this.#note(`${what}: ${error instanceof Error ? error.message : error}`);
      throw error;
    }
    this.possible = null;
    this.tree = done;
    this.operations++;
  }

  /** With one more version of a file. */
  #changed(path: string, content: Buffer): Tree {
    const node = this.#fileAt(path);
    return withFile(this.tree, { ...node, versions: [...node.versions, content] });
  }

  /** With the last version of a file promised. */
  #promised(path: string | null): Tree {
    if (path === null) return this.tree;
    const node = this.#fileAt(path);
    return withFile(this.tree, stored(contentOf(node), node.inode));
  }

  #newFile(): FileNode {
    return { kind: 'file', inode: this.#inodes++, versions: [Buffer.alloc(0)], isUnpromised: true };
  }

  /** Descriptors of a file whose name is gone are known by another of its names. */
  #nameGone(path: string, others: readonly string[]): void {
    for (const descriptor of this.#held) if (descriptor.path === path) descriptor.path = others[0] ?? null;
  }

  #moveHeld(from: string, to: string): void {
    for (const descriptor of this.#held) {
      if (descriptor.path !== null) descriptor.path = moved(descriptor.path, from, to);
    }
  }

  #contentAt(path: string): Buffer {
    return contentOf(this.#fileAt(path));
  }

  #fileAt(path: string): FileNode {
    const node = this.tree.get(path);
    if (node?.kind !== 'file') throw new Error(`the model has no file ${path}`);
    return node;
  }

  /** Files that nobody has open. */
  #files(): string[] {
    const open = new Set(this.#held.flatMap(({ path }) => (path === null ? [] : [this.#fileAt(path).inode])));
    return filesOf(this.tree).flatMap(([path, node]) => (isCertain(node) && !open.has(node.inode) ? [path] : []));
  }

  #absolute(path: string): string {
    return join(this.#top, path);
  }

  #note(step: string): void {
    this.steps.push(step);
    if (this.steps.length > KEPT_STEPS) this.steps.shift();
  }
}
