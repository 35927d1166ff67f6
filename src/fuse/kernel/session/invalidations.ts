/**
 * Telling the kernel what to forget: FUSE_NOTIFY_INVAL_INODE and FUSE_NOTIFY_INVAL_ENTRY.
 *
 * Writing a notification takes locks in the kernel that a request may hold until it is answered: the pages of a file
 * while they are read, the directory while a name in it is looked up, made or removed. So notifications are written by a
 * thread of their own (the addon's), and wait here while a request about the same object is under way; otherwise that
 * thread would stand in the kernel for as long as, say, an upload takes, where not even kill -9 would end it.
 */
import type { Log } from '../../../base/log.js';
import type { Invalidation } from '../../../filesystem/api.js';
import type { Connection } from '../connection/connection.js';
import { notifyCode } from '../protocol/protocol.js';
import { notifyInvalidateEntry, notifyInvalidateInode, outHeader } from '../protocol/structs.js';

interface Waiting {
  readonly nodeid: number;
  readonly message: Buffer;
}

/** A message of the kind `code`, with room for a struct and for what follows it. */
function message(code: number, bodyBytes: number): { bytes: Buffer; view: DataView; body: number } {
  const bytes = Buffer.alloc(outHeader.$bytes + bodyBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  outHeader.len.set(view, 0, bytes.length);
  // A reply has no unique of 0: that, and a positive code in place of the error, is what makes it a notification.
  outHeader.error.set(view, 0, code);
  return { bytes, view, body: outHeader.$bytes };
}

/** Pages from `offset` to the end as well as attributes; with `content` false attributes only. */
export function encodeInvalidateInode(nodeid: number, content: boolean): Buffer {
  const { bytes, view, body } = message(notifyCode.invalidateInode, notifyInvalidateInode.$bytes);
  notifyInvalidateInode.ino.set(view, body, nodeid);
  // A negative offset leaves the pages alone, a length of 0 means up to the end.
  notifyInvalidateInode.off.set(view, body, content ? 0 : -1);
  return bytes;
}

export function encodeInvalidateEntry(parent: number, name: string): Buffer {
  const encoded = Buffer.from(name);
  const { bytes, view, body } = message(notifyCode.invalidateEntry, notifyInvalidateEntry.$bytes + encoded.length + 1);
  notifyInvalidateEntry.parent.set(view, body, parent);
  notifyInvalidateEntry.namelen.set(view, body, encoded.length);
  encoded.copy(bytes, body + notifyInvalidateEntry.$bytes);
  return bytes;
}

export class Invalidations {
  readonly #connection: Connection;
  readonly #write: (message: Buffer) => void;
  readonly #log: Log;
  #waiting: Waiting[] = [];

  /** `write` hands a message to the notification thread. */
  constructor(connection: Connection, write: (message: Buffer) => void) {
    this.#connection = connection;
    this.#log = connection.log;
    this.#write = write;
  }

  add(what: Invalidation): void {
    const { directories, nodes } = this.#connection;
    directories.changes++;
    this.#log.debug(what, 'the kernel is to forget');
    if (what.kind === 'inode') {
      if (what.content) directories.invalidate(what.ino);
      const node = nodes.nodeOf(what.ino);
      this.#post(node, encodeInvalidateInode(node, what.content));
    } else {
      directories.invalidate(what.parent);
      this.#post(nodes.nodeOf(what.parent), encodeInvalidateEntry(nodes.nodeOf(what.parent), what.name));
      // The directory's own times changed too; the kernel only works that out for names that it knew.
      this.#post(nodes.nodeOf(what.parent), encodeInvalidateInode(nodes.nodeOf(what.parent), false));
    }
  }

  /** A request is answered: what waited for it may go. */
  answered(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const item of waiting) this.#writeOrWait(item);
  }

  #post(nodeid: number, bytes: Buffer): void {
    if (this.#connection.nodes.isHeld(nodeid)) this.#writeOrWait({ nodeid, message: bytes });
  }

  #writeOrWait(item: Waiting): void {
    if (this.#isBusy(item.nodeid)) this.#waiting.push(item);
    else this.#write(item.message);
  }

  #isBusy(nodeid: number): boolean {
    for (const request of this.#connection.pending.values())
      if (request.nodeid === nodeid || request.otherNodeid === nodeid) return true;
    return false;
  }
}
