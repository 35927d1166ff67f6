/** Requests about names: look up, create, rename and remove objects; and FORGET. */
import type { MaybePromise } from '../../../base/maybe-promise.js';
import { FsError } from '../../../filesystem/core/fs-error.js';
import { newNode } from '../../answers.js';
import type { RequestCaller } from '../connection/caller.js';
import type { Connection } from '../connection/connection.js';
import { renameFlag } from '../protocol/protocol.js';
import type { Request } from '../protocol/request.js';
import {
  batchForgetIn,
  forgetIn,
  forgetOne,
  linkIn,
  mkdirIn,
  mknodIn,
  rename2In,
  renameIn,
} from '../protocol/structs.js';
import { type Entry, entryOf, entryReply, type Operation, permissionMask } from './operation.js';

export const lookup: Operation<Entry> = {
  minimum: 1,
  call(connection, request, caller) {
    const parent = connection.nodes.inoOf(request.nodeid);
    return entryOf(connection, parent, connection.fs.lookup(parent, request.name(request.body), caller));
  },
  ...entryReply,
};

export const forget: Operation<void> = {
  minimum: forgetIn.$bytes,
  silent: true,
  call: ({ nodes }, { nodeid, view, body }) => nodes.forget(nodeid, forgetIn.nlookup.get(view, body)),
};

export const batchForget: Operation<void> = {
  minimum: batchForgetIn.$bytes,
  silent: true,
  call({ nodes }, { view, body, end }) {
    const first = body + batchForgetIn.$bytes;
    const announced = batchForgetIn.count.get(view, body);
    const count = Math.min(announced, Math.floor((end - first) / forgetOne.$bytes));
    for (let at = first; at < first + count * forgetOne.$bytes; at += forgetOne.$bytes)
      nodes.forget(forgetOne.nodeid.get(view, at), forgetOne.nlookup.get(view, at));
  },
};

export const mkdir: Operation<Entry> = {
  minimum: mkdirIn.$bytes + 1,
  changes: true,
  call(connection, request, caller) {
    const { view, body } = request;
    const parent = connection.nodes.inoOf(request.nodeid);
    caller.umask = mkdirIn.umask.get(view, body);
    const mode = mkdirIn.mode.get(view, body) & permissionMask;
    return entryOf(connection, parent, connection.fs.mkdir(parent, request.name(body + mkdirIn.$bytes), mode, caller));
  },
  ...entryReply,
};

export const mknod: Operation<Entry> = {
  minimum: mknodIn.$bytes + 1,
  changes: true,
  call(connection, request, caller) {
    const { view, body } = request;
    caller.umask = mknodIn.umask.get(view, body);
    const parent = connection.nodes.inoOf(request.nodeid);
    const node = newNode(mknodIn.mode.get(view, body), mknodIn.rdev.get(view, body));
    const name = request.name(body + mknodIn.$bytes);
    return entryOf(connection, parent, connection.fs.mknod(parent, name, node, caller));
  },
  ...entryReply,
};

export const symlink: Operation<Entry> = {
  minimum: 2,
  changes: true,
  call(connection, request, caller) {
    const parent = connection.nodes.inoOf(request.nodeid);
    const name = request.name(request.body);
    const target = request.bytesOfName(request.afterName(request.body));
    return entryOf(connection, parent, connection.fs.symlink(parent, name, target, caller));
  },
  ...entryReply,
};

export const readlink: Operation<Uint8Array> = {
  minimum: 0,
  call: ({ fs, nodes }, { nodeid }) => fs.readlink(nodes.inoOf(nodeid)),
  encode(_, reply, target) {
    reply.payload = target;
    reply.payloadLength = target.length;
    return 0;
  },
};

export const unlink: Operation<void> = {
  minimum: 1,
  changes: true,
  call: ({ fs, nodes }, request, caller) => fs.unlink(nodes.inoOf(request.nodeid), request.name(request.body), caller),
};

export const rmdir: Operation<void> = {
  minimum: 1,
  changes: true,
  call: ({ fs, nodes }, request, caller) => fs.rmdir(nodes.inoOf(request.nodeid), request.name(request.body), caller),
};

function move(
  { fs, nodes }: Connection,
  request: Request,
  caller: RequestCaller,
  flags: number,
  namesAt: number,
): MaybePromise<void> {
  if ((flags & ~(renameFlag.noReplace | renameFlag.exchange)) !== 0)
    throw new FsError('EINVAL', 'a flag of renameat2(2) that has no meaning here');
  const newdir = renameIn.newdir.get(request.view, request.body);
  caller.otherNodeid = newdir;
  const name = request.name(namesAt);
  const newName = request.name(request.afterName(namesAt));
  const how = { noReplace: (flags & renameFlag.noReplace) !== 0, exchange: (flags & renameFlag.exchange) !== 0 };
  return fs.rename(nodes.inoOf(request.nodeid), name, nodes.inoOf(newdir), newName, how, caller);
}

export const rename: Operation<void> = {
  minimum: renameIn.$bytes + 2,
  changes: true,
  call: (connection, request, caller) => move(connection, request, caller, 0, request.body + renameIn.$bytes),
};

export const rename2: Operation<void> = {
  minimum: rename2In.$bytes + 2,
  changes: true,
  keepsMissing: true,
  call(connection, request, caller) {
    const flags = rename2In.flags.get(request.view, request.body);
    return move(connection, request, caller, flags, request.body + rename2In.$bytes);
  },
};

export const link: Operation<Entry> = {
  minimum: linkIn.$bytes + 1,
  changes: true,
  call(connection, request, caller) {
    const { view, body } = request;
    const parent = connection.nodes.inoOf(request.nodeid);
    const node = linkIn.oldnodeid.get(view, body);
    caller.otherNodeid = node;
    const name = request.name(body + linkIn.$bytes);
    return entryOf(connection, parent, connection.fs.link(connection.nodes.inoOf(node), parent, name, caller));
  },
  ...entryReply,
};
