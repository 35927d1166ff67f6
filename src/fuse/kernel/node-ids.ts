/**
 * The kernel's node numbers and how often it holds each.
 *
 * The kernel calls the mounted directory 1; the core may call it anything, and may call another object 1. So a node
 * number is the inode number plus one, but for the root. `st_ino` stays the core's number all the same: it travels in
 * the attributes.
 *
 * The kernel counts every answer that names a node as one reference and gives references back with FORGET. A node that it
 * does not hold needs no notification.
 *
 * Seldom the kernel must take one object for two (`split`, see passthrough.ts): then the object goes on under a new node
 * number, and those who have it open under the old one keep that.
 */
import type { Ino } from '../../filesystem/api.js';
import { rootNode } from './protocol.js';

/** Above all inode numbers, below 2^53; each is given once. */
const firstAlias = 2 ** 52;

export class NodeIds {
  readonly #root: Ino;
  readonly #references = new Map<number, number>();
  /** Of objects that were split: the object of each later number, the number that counts, those that are still held. */
  readonly #aliases = new Map<number, Ino>();
  readonly #current = new Map<Ino, number>();
  readonly #former = new Map<Ino, Set<number>>();
  #nextAlias = firstAlias;

  constructor(root: Ino) {
    this.#root = root;
  }

  nodeOf(ino: Ino): number {
    return ino === this.#root ? rootNode : (this.#current.get(ino) ?? ino + 1);
  }

  inoOf(node: number): Ino {
    return node === rootNode ? this.#root : (this.#aliases.get(node) ?? node - 1);
  }

  /** The kernel was given this object once more. */
  reference(ino: Ino): void {
    const node = this.nodeOf(ino);
    this.#references.set(node, (this.#references.get(node) ?? 0) + 1);
  }

  forget(node: number, count: number): void {
    const left = (this.#references.get(node) ?? 0) - count;
    if (left > 0) this.#references.set(node, left);
    else {
      this.#references.delete(node);
      this.#dropFormer(node);
    }
  }

  /** From now on the object has another number; what is open under the present one stays as it is. */
  split(ino: Ino): void {
    const former = this.nodeOf(ino);
    if (this.#references.has(former)) {
      const held = this.#former.get(ino) ?? new Set();
      this.#former.set(ino, held.add(former));
    }
    const node = this.#nextAlias++;
    this.#aliases.set(node, ino);
    this.#current.set(ino, node);
  }

  /** Under which numbers the kernel has it, the present one first. */
  nodesOf(ino: Ino): number[] {
    return [this.nodeOf(ino), ...(this.#former.get(ino) ?? [])];
  }

  /** The kernel has it twice, and what it hears of one it does not know of the other. */
  isSplit(ino: Ino): boolean {
    return this.#former.has(ino);
  }

  /** Whether the kernel may have something cached of the object. It has the root as long as the mount lasts. */
  isHeld(ino: Ino): boolean {
    return this.isHeldNode(this.nodeOf(ino));
  }

  isHeldNode(node: number): boolean {
    return node === rootNode || this.#references.has(node);
  }

  #dropFormer(node: number): void {
    const ino = this.inoOf(node);
    const held = this.#former.get(ino);
    if (held === undefined || !held.delete(node)) return;
    this.#aliases.delete(node);
    if (held.size === 0) this.#former.delete(ino);
  }

  /** How many objects the kernel holds, the root aside. */
  get held(): number {
    return this.#references.size;
  }
}
