/**
 * Invalidates the kernel's caches: FUSE_NOTIFY_INVAL_INODE and FUSE_NOTIFY_INVAL_ENTRY.
 *
 * Writing a notification takes kernel locks that a request may hold until it is answered: the pages of a file while they are
 * read, a directory while a name in it is looked up, created or removed. So the addon's own thread writes notifications, and
 * they wait here while a request about the same object is in flight. Otherwise the thread would block in the kernel for as long
 * as, for example, an upload takes, and not even kill -9 would end it.
 */
import type { Log } from '../../../base/log.js';
import { encodeName } from '../../../base/raw-names.js';
import type { Invalidation } from '../../../filesystem/api.js';
import type { Connection } from '../connection/connection.js';
import { notifyCode } from '../protocol/protocol.js';
import { notifyInvalidateEntry, notifyInvalidateInode, outHeader } from '../protocol/structs.js';

interface Waiting {
  readonly nodeid: number;
  readonly message: Buffer;
}

/** A notification with this code, and space for its struct and the bytes after it. */
function message(code: number, bodyBytes: number): { bytes: Buffer; view: DataView; body: number } {
  const bytes = Buffer.alloc(outHeader.$bytes + bodyBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  outHeader.len.set(view, 0, bytes.length);
  // A notification is a reply with unique 0 and a positive code in place of the error.
  outHeader.error.set(view, 0, code);
  return { bytes, view, body: outHeader.$bytes };
}

/** Invalidates the attributes of an inode, and with `content` also all its pages. */
export function encodeInvalidateInode(nodeid: number, content: boolean): Buffer {
  const { bytes, view, body } = message(notifyCode.invalidateInode, notifyInvalidateInode.$bytes);
  notifyInvalidateInode.ino.set(view, body, nodeid);
  // A negative offset means no pages; a length of 0 means up to the end.
  notifyInvalidateInode.off.set(view, body, content ? 0 : -1);
  return bytes;
}

export function encodeInvalidateEntry(parent: number, name: string): Buffer {
  const encoded = encodeName(name);
  const { bytes, view, body } = message(notifyCode.invalidateEntry, notifyInvalidateEntry.$bytes + encoded.length + 1);
  notifyInvalidateEntry.parent.set(view, body, parent);
  notifyInvalidateEntry.namelen.set(view, body, encoded.length);
  encoded.copy(bytes, body + notifyInvalidateEntry.$bytes);
  return bytes;
}

export class CacheNotifications {
  readonly #connection: Connection;
  readonly #write: (message: Buffer) => void;
  readonly #log: Log;
  #waiting: Waiting[] = [];

  /** `write` passes a message to the notification thread. */
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
      // The directory's times changed too. The kernel invalidates them itself only if it has cached the name.
      this.#post(nodes.nodeOf(what.parent), encodeInvalidateInode(nodes.nodeOf(what.parent), false));
    }
  }

  /** A request is answered: sends the notifications that waited for it. */
  flush(): void {
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
