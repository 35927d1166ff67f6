/**
 * The kernel's node numbers and how often it holds each.
 *
 * The kernel calls the mounted directory 1; the core may call it anything, and may call another object 1. So a node
 * number is the inode number plus one, but for the root: an object has one number for as long as the mount lasts.
 * `st_ino` stays the core's number all the same: it travels in the attributes.
 *
 * The kernel counts every answer that names a node as one reference and gives references back with FORGET. A node that it
 * does not hold needs no notification.
 */
import type { Ino } from '../../../filesystem/api.js';
import { rootNode } from './protocol.js';

export class NodeIds {
  readonly #root: Ino;
  readonly #references = new Map<number, number>();
  readonly #onForgotten: (ino: Ino) => void;

  /** `onForgotten` hears of every object that the kernel gives back for good. */
  constructor(root: Ino, onForgotten: (ino: Ino) => void = () => {}) {
    this.#root = root;
    this.#onForgotten = onForgotten;
  }

  nodeOf(ino: Ino): number {
    return ino === this.#root ? rootNode : ino + 1;
  }

  inoOf(node: number): Ino {
    return node === rootNode ? this.#root : node - 1;
  }

  /** The kernel was given this object once more. */
  reference(ino: Ino): void {
    const node = this.nodeOf(ino);
    this.#references.set(node, (this.#references.get(node) ?? 0) + 1);
  }

  forget(node: number, count: number): void {
    const left = (this.#references.get(node) ?? 0) - count;
    if (left > 0) this.#references.set(node, left);
    else if (this.#references.delete(node)) this.#onForgotten(this.inoOf(node));
  }

  /** Whether the kernel may have something cached of a node. It has the root as long as the mount lasts. */
  isHeld(node: number): boolean {
    return node === rootNode || this.#references.has(node);
  }

  /** How many objects the kernel holds, the root aside. */
  get held(): number {
    return this.#references.size;
  }
}
