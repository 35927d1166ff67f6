/** Requests about open files: their content, and all other requests with a handle. */
import { isPromise, type MaybePromise } from '../../../base/maybe-promise.js';
import type { HandleId, OpenFlags, OpenResult } from '../../../filesystem/api.js';
import { FsError } from '../../../filesystem/core/fs-error.js';
import { andThen, decodeOpenFlags, fileOffset } from '../../answers.js';
import type { Connection } from '../connection/connection.js';
import type { OpenMode } from '../connection/passthrough.js';
import { maxWrite } from '../protocol/negotiation.js';
import {
  fallocateFlag,
  openedFlag,
  openKillPrivileges,
  seekWhence,
  writeFromCache,
  writeKillPrivileges,
} from '../protocol/protocol.js';
import { encodeEntry, encodeOpen, entryBytes } from '../protocol/reply-buffer.js';
import type { Request } from '../protocol/request.js';
import {
  copyFileRangeIn,
  createIn,
  fallocateIn,
  flushIn,
  fsyncIn,
  lseekIn,
  lseekOut,
  openIn,
  readIn,
  releaseIn,
  writeIn,
  writeOut,
} from '../protocol/structs.js';
import { type Entry, entryReply, type Operation, permissionMask } from './operation.js';
import { dropPrivileges } from './setattr.js';

interface Opened {
  readonly handle: HandleId;
  readonly flags: number;
  /** The kernel's id of the backing file that it reads itself (passthrough), or 0. */
  readonly backingId: number;
}

/**
 * noFlush for a descriptor that cannot write: its close has no error to report. keepCache only without passthrough and
 * directIo: the pages of a backing file belong to that file, and directIo uses no pages.
 */
function openedFlags(
  { kind }: OpenMode,
  { keepCache, bypassesPageCache, passthroughWriters }: OpenResult,
  writes: boolean,
): number {
  const way = {
    passthrough: openedFlag.passthrough,
    served: openedFlag.passthrough | openedFlag.directIo,
    ordinary:
      (keepCache ? openedFlag.keepCache : 0) | (bypassesPageCache || passthroughWriters ? openedFlag.directIo : 0),
  };
  return way[kind] | (writes ? 0 : openedFlag.noFlush);
}

/**
 * O_DIRECT is excluded: on a backing file it would demand alignment, which a cloud file never does. A writer may use
 * passthrough if the file system allows it (`backing`), but not if it also reads.
 */
const mayPass = ({ read, write, direct }: OpenFlags): boolean => direct !== true && !(read && write);

/** Decides how the kernel treats the opened file. If that fails, closes the file again. */
function passOn(connection: Connection, node: number, flags: OpenFlags, result: OpenResult): MaybePromise<Opened> {
  const { handle, bypassesPageCache } = result;
  const opening = { handle, mayPass: mayPass(flags) && !bypassesPageCache, writes: flags.write };
  const answer = (mode: OpenMode): Opened => ({
    handle,
    flags: openedFlags(mode, result, flags.write),
    backingId: mode.id,
  });
  const mode = connection.passthrough.opened(node, opening);
  if (!isPromise(mode)) return answer(mode);
  return mode.then(answer, (error: unknown) => connection.releaseHandle(handle).then(() => Promise.reject(error)));
}

/** Releases the handle if the open was aborted before its answer: the kernel then sends no RELEASE. */
function noteOpened(connection: Connection, handle: HandleId, taken: boolean): void {
  connection.handles.add(handle);
  if (!taken) void connection.releaseHandle(handle);
}

export const open: Operation<Opened> = {
  minimum: openIn.$bytes,
  changes: true,
  call(connection, request, caller) {
    const { fs, nodes } = connection;
    const { view, body, nodeid } = request;
    const ino = nodes.inoOf(nodeid);
    const flags = decodeOpenFlags(openIn.flags.get(view, body));
    const kill = (openIn.openFlags.get(view, body) & openKillPrivileges) !== 0;
    const opened = andThen(fs.open(ino, flags, caller), (result) => passOn(connection, nodeid, flags, result));
    return kill ? andThen(opened, (done) => andThen(dropPrivileges(connection, ino), () => done)) : opened;
  },
  encode: (_, reply, { handle, flags, backingId }) => encodeOpen(reply.view, reply.body, handle, flags, backingId),
  sent: (connection, { handle }, taken) => noteOpened(connection, handle, taken),
};

/** CREATE and TMPFILE. The name of the new file comes after the struct. For O_TMPFILE it means nothing. */
function creating(nameOf: (request: Request) => string | null): Operation<Entry & Opened> {
  return {
    minimum: createIn.$bytes + 1,
    changes: true,
    call(connection, request, caller) {
      const { fs, nodes } = connection;
      const { view, body } = request;
      const parent = nodes.inoOf(request.nodeid);
      caller.umask = createIn.umask.get(view, body);
      const flags = decodeOpenFlags(createIn.flags.get(view, body));
      const mode = createIn.mode.get(view, body) & permissionMask;
      return andThen(fs.create(parent, nameOf(request), mode, flags, caller), ({ attributes, ...result }) => {
        const opened = passOn(connection, nodes.nodeOf(attributes.ino), flags, result);
        return andThen(opened, (done) => ({ ...done, attributes, validMs: fs.validity(parent) }));
      });
    },
    encode({ nodes }, reply, { attributes, validMs, handle, flags, backingId }) {
      encodeEntry(reply.view, reply.body, nodes, attributes, validMs);
      return entryBytes + encodeOpen(reply.view, reply.body + entryBytes, handle, flags, backingId);
    },
    sent(connection, value, taken) {
      entryReply.sent(connection, value, taken);
      noteOpened(connection, value.handle, taken);
    },
  };
}

export const create = creating((request) => request.name(request.body + createIn.$bytes));
/** O_TMPFILE, since Linux 6.1. */
export const tmpfile = creating(() => null);

interface Content {
  readonly buffer: Uint8Array;
  readonly length: number;
}

export const read: Operation<Content> = {
  minimum: readIn.$bytes,
  call({ fs, buffers }, { view, body }, caller) {
    const size = readIn.size.get(view, body);
    if (size > maxWrite) throw new FsError('EINVAL', `a read of ${size} bytes`);
    const buffer = buffers.take(size);
    const into = buffer.length === size ? buffer : buffer.subarray(0, size);
    // After a failure the buffer is not reused: an aborted read may still be writing to it.
    const length = fs.read(readIn.fh.get(view, body), into, readIn.offset.get(view, body), caller);
    return isPromise(length) ? length.then((bytes) => ({ buffer, length: bytes })) : { buffer, length };
  },
  encode(_, reply, { buffer, length }) {
    reply.payload = buffer;
    reply.payloadLength = length;
    return 0;
  },
  sent: ({ buffers }, { buffer }) => buffers.give(buffer),
};

export const write: Operation<number> = {
  minimum: writeIn.$bytes,
  changes: true,
  call(connection, request, caller) {
    const { fs } = connection;
    const { view, body } = request;
    const ino = connection.nodes.inoOf(request.nodeid);
    const flags = writeIn.writeFlags.get(view, body);
    const kill = (flags & writeKillPrivileges) !== 0;
    const part = request.data(body + writeIn.$bytes, writeIn.size.get(view, body));
    // The data is in the request's buffer. A few waiting writes may keep their buffers; for more of them it is copied.
    const mayKeep = connection.keptRequests < connection.maxKeptRequests;
    const data = mayKeep ? part : Uint8Array.from(part);
    const offset = fileOffset(writeIn.offset.get(view, body), part.length);
    // The kernel writes a page back through any writable handle, so the open flags of that handle do not apply to it.
    const from = (flags & writeFromCache) !== 0 ? 'page' : 'call';
    const written = fs.write(writeIn.fh.get(view, body), data, offset, caller, from);
    if (mayKeep && isPromise(written)) connection.keepUntil(request, written);
    return kill ? andThen(written, (count) => andThen(dropPrivileges(connection, ino), () => count)) : written;
  },
  encode(_, reply, count) {
    writeOut.size.set(reply.view, reply.body, count);
    writeOut.padding.set(reply.view, reply.body, 0);
    return writeOut.$bytes;
  },
};

export const flush: Operation<void> = {
  minimum: flushIn.$bytes,
  changes: true,
  isLast: true,
  call: ({ fs }, { view, body }, caller) => fs.flush(flushIn.fh.get(view, body), caller),
};

export const fsync: Operation<void> = {
  minimum: fsyncIn.$bytes,
  changes: true,
  call: ({ fs }, { view, body }, caller) => fs.fsync(fsyncIn.fh.get(view, body), caller),
};

export const release: Operation<void> = {
  minimum: releaseIn.$bytes,
  changes: true,
  call({ fs, handles, passthrough }, { view, body }) {
    const handle = releaseIn.fh.get(view, body);
    passthrough.released(handle);
    return handles.delete(handle) ? fs.release(handle) : undefined;
  },
};

export const fallocate: Operation<void> = {
  minimum: fallocateIn.$bytes,
  changes: true,
  optional: true,
  call({ fs }, { view, body }) {
    const mode = fallocateIn.mode.get(view, body);
    const zeroes = (mode & (fallocateFlag.punchHole | fallocateFlag.zeroRange)) !== 0;
    const known = fallocateFlag.keepSize | fallocateFlag.punchHole | fallocateFlag.zeroRange;
    if ((mode & ~known) !== 0) throw new FsError('ENOTSUP', 'ranges of a file are not moved');
    const handle = fallocateIn.fh.get(view, body);
    const length = fallocateIn.length.get(view, body);
    const offset = fileOffset(fallocateIn.offset.get(view, body), length);
    return fs.fallocate(handle, { offset, length, keepSize: (mode & fallocateFlag.keepSize) !== 0, zeroes });
  },
};

/** The count in fuse_write_out has 32 bits, and the kernel never requests more. A longer file is copied by reads and writes. */
export const copyFileRange: Operation<number> = {
  minimum: copyFileRangeIn.$bytes,
  changes: true,
  call({ fs }, { view, body }, caller) {
    const fromOffset = fileOffset(copyFileRangeIn.offIn.get(view, body));
    const toOffset = fileOffset(copyFileRangeIn.offOut.get(view, body));
    if (fs.copyRange === undefined) throw new FsError('ENOTSUP', 'copies go by their bytes');
    return fs.copyRange(
      copyFileRangeIn.fhIn.get(view, body),
      fromOffset,
      copyFileRangeIn.fhOut.get(view, body),
      toOffset,
      copyFileRangeIn.len.get(view, body),
      caller,
    );
  },
  encode: write.encode,
};

export const lseek: Operation<number> = {
  minimum: lseekIn.$bytes,
  optional: true,
  call({ fs }, { view, body }) {
    const whence = lseekIn.whence.get(view, body);
    if (whence !== seekWhence.data && whence !== seekWhence.hole) throw new FsError('EINVAL', `lseek(2) ${whence}`);
    const offset = fileOffset(lseekIn.offset.getSigned(view, body));
    return fs.seek(lseekIn.fh.get(view, body), offset, whence === seekWhence.data ? 'data' : 'hole');
  },
  encode(_, reply, offset) {
    lseekOut.offset.set(reply.view, reply.body, offset);
    return lseekOut.$bytes;
  },
};
