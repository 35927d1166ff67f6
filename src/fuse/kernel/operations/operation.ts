/** What every kind of request has in common; `session.ts` carries them out, `operations.ts` lists them. */
import type { MaybePromise } from '../../../base/maybe-promise.js';
import type { Attributes, Ino } from '../../../filesystem/api.js';
import { andThen } from '../../answers.js';
import type { RequestCaller } from '../connection/caller.js';
import type { Connection } from '../connection/connection.js';
import { encodeAttrOut, encodeEntry, type Reply } from '../protocol/reply.js';
import type { Request } from '../protocol/request.js';

export interface Operation<T> {
  /** The shortest body that the kernel may send, bytes. */
  readonly minimum: number;
  /** May change something: attributes read before it are old, and it is left to finish when the mount goes. */
  readonly changes?: true;
  /** To ENOSYS the kernel does it in its own way; to most other operations it would mean never to ask again. */
  readonly optional?: true;
  /** Is also sent by programs that die, for all that they have open. */
  readonly isLast?: true;
  /** Has no answer. */
  readonly silent?: true;
  call(connection: Connection, request: Request, caller: RequestCaller): MaybePromise<T>;
  /** Writes behind the reply's header and returns how much; without it, the answer is empty. */
  encode?(connection: Connection, reply: Reply, value: T): number;
  /** The kernel has the answer; or, where `taken` is false, it had given the request up before. */
  sent?(connection: Connection, value: T, taken: boolean): void;
}

/** A name and what it leads to; without attributes, to nothing, which the kernel remembers for `validMs` as well. */
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
  return andThen(found, (attributes) => ({ attributes, validMs: connection.fs.validity(parent) }));
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
