/** Requests about attributes, extended attributes, and the size of the whole file system. */
import { constants } from 'node:os';
import { encodeName } from '../../../base/raw-names.js';
import type { Attributes, StatFs } from '../../../filesystem/api.js';
import { FsError } from '../../../filesystem/core/fs-error.js';
import { andThen } from '../../answers.js';
import type { Connection } from '../connection/connection.js';
import { getattrFlag, setxattrFlag, setxattrKillSetGroupId } from '../protocol/protocol.js';
import { encodeStatFs, type Reply } from '../protocol/reply-buffer.js';
import { getattrIn, getxattrIn, getxattrOut, setattrIn, setxattrIn, setxattrInMore } from '../protocol/structs.js';
import { attributesReply, type Operation } from './operation.js';
import { decodeSetattr } from './setattr.js';

export const getattr: Operation<Attributes> = {
  minimum: getattrIn.$bytes,
  call({ fs, nodes }, { nodeid, view, body }) {
    const hasHandle = (getattrIn.flags.get(view, body) & getattrFlag.fh) !== 0;
    return fs.getattr(nodes.inoOf(nodeid), hasHandle ? getattrIn.fh.get(view, body) : undefined);
  },
  ...attributesReply,
};

export const setattr: Operation<Attributes> = {
  minimum: setattrIn.$bytes,
  changes: true,
  call({ fs, nodes }, request, caller) {
    const ino = nodes.inoOf(request.nodeid);
    return andThen(decodeSetattr(fs, ino, request), (change) => fs.setattr(ino, change, caller));
  },
  ...attributesReply,
};

export const statfs: Operation<StatFs> = {
  minimum: 0,
  call: ({ fs }) => fs.statfs(),
  encode: (_, reply, stat) => encodeStatFs(reply, stat),
};

/** A value that fits into `room` bytes. `room` 0 means that the caller wants only the length. */
interface Value {
  readonly value: Uint8Array;
  readonly room: number;
}

const valueReply = {
  encode(_: Connection, reply: Reply, { value, room }: Value): number {
    if (room === 0) {
      getxattrOut.size.set(reply.view, reply.body, value.length);
      getxattrOut.padding.set(reply.view, reply.body, 0);
      return getxattrOut.$bytes;
    }
    reply.payload = value;
    reply.payloadLength = value.length;
    return 0;
  },
};

function fitting(value: Uint8Array, room: number): Value {
  if (room > 0 && value.length > room) throw new FsError('ERANGE', `${value.length} bytes do not fit into ${room}`);
  return { value, room };
}

/** The value is undefined if there is no such attribute. */
export const getxattr: Operation<Value | undefined> = {
  minimum: getxattrIn.$bytes + 1,
  call({ fs, nodes }, request) {
    const room = getxattrIn.size.get(request.view, request.body);
    const name = request.name(request.body + getxattrIn.$bytes);
    return andThen(fs.getxattr(nodes.inoOf(request.nodeid), name), (value) =>
      value === undefined ? undefined : fitting(value, room),
    );
  },
  errno: (value) => (value === undefined ? constants.errno.ENODATA : 0),
  encode: (connection, reply, value) => (value === undefined ? 0 : valueReply.encode(connection, reply, value)),
};

export const listxattr: Operation<Value> = {
  minimum: getxattrIn.$bytes,
  call({ fs, nodes }, request, caller) {
    const room = getxattrIn.size.get(request.view, request.body);
    return andThen(fs.listxattr(nodes.inoOf(request.nodeid), caller), (names) =>
      fitting(encodeName(names.map((name) => `${name}\0`).join('')), room),
    );
  },
  ...valueReply,
};

export const setxattr: Operation<void> = {
  minimum: setxattrIn.$bytes + 1,
  changes: true,
  call({ fs, nodes, extendedSetxattr }, request) {
    const { view, body } = request;
    const flags = setxattrIn.flags.get(view, body);
    const more = body + setxattrIn.$bytes;
    const killSetGroupId =
      extendedSetxattr && (setxattrInMore.setxattrFlags.get(view, more) & setxattrKillSetGroupId) !== 0;
    const nameAt = more + (extendedSetxattr ? setxattrInMore.$bytes : 0);
    const name = request.name(nameAt);
    // Copied, because the buffer is reused for the next request.
    const value = Uint8Array.from(request.data(request.afterName(nameAt), setxattrIn.size.get(view, body)));
    const mode = flags === setxattrFlag.create ? 'create' : flags === setxattrFlag.replace ? 'replace' : 'either';
    return fs.setxattr(nodes.inoOf(request.nodeid), name, value, { mode, killSetGroupId });
  },
};

export const removexattr: Operation<void> = {
  minimum: 1,
  changes: true,
  call: ({ fs, nodes }, request) => fs.removexattr(nodes.inoOf(request.nodeid), request.name(request.body)),
};
