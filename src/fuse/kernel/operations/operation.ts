/** The interface of a request handler. `fuse-session.ts` calls the handlers; `operations.ts` lists them. */
import type { MaybePromise } from '../../../base/maybe-promise.js';
import type { Attributes, Ino } from '../../../filesystem/api.js';
import { andThen } from '../../answers.js';
import type { RequestCaller } from '../connection/caller.js';
import type { Connection } from '../connection/connection.js';
import { encodeAttrOut, encodeEntry, type Reply } from '../protocol/reply-buffer.js';
import type { Request } from '../protocol/request.js';

export interface Operation<T> {
  /** The shortest body that the kernel may send, bytes. */
  readonly minimum: number;
  /** May change something. Attributes read before it are then out of date, and it runs to its end when the mount ends. */
  readonly changes?: true;
  /**
   * After EEXIST the kernel still caches the name as missing. (For operations that create a name it drops that itself:
   * create_new_entry() of fs/fuse/dir.c.)
   */
  readonly keepsMissing?: true;
  /** May fail with ENOSYS: the kernel then handles the call itself. Most other operations it would never send again. */
  readonly optional?: true;
  /** The kernel also sends it for each open file of a dying program. */
  readonly isLast?: true;
  /** The kernel expects no answer. */
  readonly silent?: true;
  call(connection: Connection, request: Request, caller: RequestCaller): MaybePromise<T>;
  /** The positive errno for a frequent result that is not a success. 0 for other results. */
  errno?(value: T): number;
  /** Writes the answer after the reply's header, and returns its length. Without it, the answer is empty. */
  encode?(connection: Connection, reply: Reply, value: T): number;
  /** Called after the answer. `taken` is false if the kernel had aborted the request before. */
  sent?(connection: Connection, value: T, taken: boolean): void;
}

/** The result of a look-up. Without attributes the name does not exist, which the kernel caches for `validMs` too. */
export interface Entry {
  readonly attributes: Attributes | undefined;
  readonly validMs: number;
}

export const permissionMask = 0o7777;

export function entryOf(
  connection: Connection,
  parent: Ino,
  found: MaybePromise<Attributes | undefined>,
): MaybePromise<Entry> {
  return andThen(found, (attributes) => ({
    attributes,
    validMs: connection.fs.validity(parent, attributes?.ino),
  }));
}

/** Answers with a fuse_entry_out. */
export const entryReply = {
  encode(connection: Connection, reply: Reply, { attributes, validMs }: Entry): number {
    return encodeEntry(reply.view, reply.body, connection.nodes, attributes, validMs);
  },
  sent(connection: Connection, { attributes }: Entry, taken: boolean): void {
    if (taken && attributes !== undefined) connection.nodes.reference(attributes.ino);
  },
};

/** Answers with a fuse_attr_out. */
export const attributesReply = {
  encode(connection: Connection, reply: Reply, attributes: Attributes): number {
    return encodeAttrOut(reply, attributes, connection.validityOf(attributes.ino));
  },
};
