/** The random choices of an actor: the same for the same seed. */
import { directoriesOf, type Tree } from './model.js';

/** Few names, so that the same ones are hit often. */
const FILES = 8;
const DIRECTORIES = 3;

export class Choices {
  readonly #random: () => number;

  /** `random`: from 0 to 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** From 0 to 1. */
  share(): number {
    return this.#random();
  }

  integer(below: number): number {
    return Math.floor(this.#random() * below);
  }

  pick<T>(from: readonly T[]): T | undefined {
    return from[this.integer(from.length)];
  }

  /** One of these, with a probability by weight. */
  weighted(choices: readonly [number, () => Promise<void>][]): () => Promise<void> {
    const each = choices.flatMap(([weight, act]) => Array.from({ length: weight }, () => act));
    return this.pick(each) ?? (() => Promise.resolve());
  }

  /** Mostly small; now and then so large that it takes the provider's way for large files. */
  content(): Buffer {
    const most = this.#random() < 0.6 ? 5000 : this.#random() < 0.75 ? 60_000 : 300_000;
    const content = Buffer.allocUnsafe(1 + this.integer(most));
    for (let at = 0; at + 4 <= content.length; at += 4) content.writeUInt32LE(this.integer(2 ** 32), at);
    content.fill(this.integer(256), content.length - (content.length % 4));
    return content;
  }
}

/** A name that is free; null where none is. */
export function freshPath(tree: Tree, choices: Choices): string | null {
  const folder = choices.pick(['', ...directoriesOf(tree).map((path) => `${path}/`)]) ?? '';
  const names = Array.from({ length: FILES }, (_, n) => `${folder}f${n}`);
  return choices.pick(names.filter((path) => !tree.has(path))) ?? null;
}

/** As `freshPath`, for a directory. */
export function freeDirectory(tree: Tree, choices: Choices): string | null {
  const names = Array.from({ length: DIRECTORIES }, (_, n) => `d${n}`);
  return choices.pick(names.filter((path) => !tree.has(path))) ?? null;
}
