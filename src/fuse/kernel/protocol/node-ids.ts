/**
 * The kernel's node ids, and how many references it holds to each.
 *
 * For the kernel, the root has id 1. The core may give the root any inode number, and the number 1 to another object. So a
 * node id is the inode number plus one, except for the root. An object keeps its id until the mount ends. `st_ino` in the
 * attributes is still the core's number.
 *
 * For the kernel, every answer that names a node is one reference. It drops references with FORGET. A node without
 * references needs no invalidation.
 */
import type { Ino } from '../../../filesystem/api.js';
import { rootNode } from './protocol.js';
import { ReferenceCounts } from './reference-counts.js';

export class NodeIds {
  readonly #root: Ino;
  readonly #references = new ReferenceCounts();
  readonly #onForgotten: (ino: Ino) => void;

  /** `onForgotten` is called for every object to which the kernel drops its last reference. */
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

  /** Counts one more reference of the kernel to this object. */
  reference(ino: Ino): void {
    this.#references.add(this.nodeOf(ino));
  }

  forget(node: number, count: number): void {
    if (this.#references.subtract(node, count)) this.#onForgotten(this.inoOf(node));
  }

  /** May the kernel have cached something of this node? Always true for the root. */
  isHeld(node: number): boolean {
    return node === rootNode || this.#references.has(node);
  }

  /** Number of objects to which the kernel has references, without the root. */
  get held(): number {
    return this.#references.size;
  }
}
