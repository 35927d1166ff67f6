/**
 * Builds the answer to a request (a fuse_out_header, then a struct) in one buffer, which all answers reuse.
 *
 * Encoders write after the header and return the number of bytes. The header is filled in when the answer is sent. A payload
 * (file content, an attribute's value) is not copied into this buffer, but sent from its own.
 */
import type { Attributes, StatFs, Timespec } from '../../../filesystem/api.js';
import { blockSize, blocksOf, fileTypeBits } from '../../answers.js';
import type { NodeIds } from './node-ids.js';
import { attr, attrOutHead, entryOutHead, openOut, outHeader, statfsOut } from './structs.js';

/** Bytes of the buffer: enough for a directory chunk, because getdents(2) causes requests of a page or two. */
const capacity = 128 * 1024;

export class Reply {
  readonly bytes = Buffer.alloc(capacity);
  readonly view = new DataView(this.bytes.buffer, this.bytes.byteOffset, capacity);
  readonly body = outHeader.$bytes;
  readonly capacity = capacity - outHeader.$bytes;
  payload: Uint8Array | undefined;
  payloadLength = 0;

  /** `error` is 0 or a negative errno. */
  header(unique: number, error: number, bodyLength: number): void {
    outHeader.len.set(this.view, 0, outHeader.$bytes + bodyLength + this.payloadLength);
    outHeader.error.set(this.view, 0, error);
    outHeader.unique.set(this.view, 0, unique);
  }

  clear(from: number, length: number): void {
    this.bytes.fill(0, from, from + length);
  }
}

export const entryBytes = entryOutHead.$bytes + attr.$bytes;

const nsecOf = (ms: number): number => Math.floor((ms % 1000) * 1e6);

function encodeTime(
  view: DataView,
  base: number,
  seconds: typeof attr.atime,
  nanoseconds: typeof attr.atimensec,
  time: Timespec,
): void {
  seconds.set(view, base, time.sec);
  nanoseconds.set(view, base, time.nsec);
}

function encodeAttributes(view: DataView, base: number, value: Attributes): void {
  attr.ino.set(view, base, value.ino);
  attr.size.set(view, base, value.size);
  attr.blocks.set(view, base, blocksOf(value));
  encodeTime(view, base, attr.atime, attr.atimensec, value.atime);
  encodeTime(view, base, attr.mtime, attr.mtimensec, value.mtime);
  encodeTime(view, base, attr.ctime, attr.ctimensec, value.ctime);
  attr.mode.set(view, base, fileTypeBits[value.kind] | value.mode);
  attr.nlink.set(view, base, value.nlink);
  attr.uid.set(view, base, value.uid);
  attr.gid.set(view, base, value.gid);
  attr.rdev.set(view, base, value.rdev ?? 0);
  attr.blksize.set(view, base, blockSize);
  attr.flags.set(view, base, 0);
}

/** Writes a fuse_entry_out at `at`. Without attributes it says that the name does not exist, which the kernel may cache. */
export function encodeEntry(
  view: DataView,
  at: number,
  nodes: NodeIds,
  attributes: Attributes | undefined,
  validMs: number,
): number {
  const attributesMs = attributeTtlMs(attributes, validMs);
  entryOutHead.nodeid.set(view, at, attributes === undefined ? 0 : nodes.nodeOf(attributes.ino));
  entryOutHead.generation.set(view, at, 0);
  entryOutHead.entryValid.set(view, at, Math.floor(validMs / 1000));
  entryOutHead.attrValid.set(view, at, Math.floor(attributesMs / 1000));
  entryOutHead.entryValidNsec.set(view, at, nsecOf(validMs));
  entryOutHead.attrValidNsec.set(view, at, nsecOf(attributesMs));
  if (attributes !== undefined) encodeAttributes(view, at + entryOutHead.$bytes, attributes);
  return entryBytes;
}

/** How long the kernel may cache attributes, ms. */
function attributeTtlMs(attributes: Attributes | undefined, validMs: number): number {
  return attributes?.uncacheable ? 0 : validMs;
}

/** A fuse_attr_out. */
export function encodeAttrOut(reply: Reply, attributes: Attributes, validMs: number): number {
  const attributesMs = attributeTtlMs(attributes, validMs);
  attrOutHead.attrValid.set(reply.view, reply.body, Math.floor(attributesMs / 1000));
  attrOutHead.attrValidNsec.set(reply.view, reply.body, nsecOf(attributesMs));
  attrOutHead.dummy.set(reply.view, reply.body, 0);
  encodeAttributes(reply.view, reply.body + attrOutHead.$bytes, attributes);
  return attrOutHead.$bytes + attr.$bytes;
}

/** A fuse_open_out at `at`. */
export function encodeOpen(view: DataView, at: number, handle: number, flags: number, backingId = 0): number {
  openOut.fh.set(view, at, handle);
  openOut.openFlags.set(view, at, flags);
  openOut.backingId.set(view, at, backingId);
  return openOut.$bytes;
}

export function encodeStatFs(reply: Reply, stat: StatFs): number {
  const { view, body } = reply;
  reply.clear(body, statfsOut.$bytes);
  const free = Math.floor(stat.free / blockSize);
  statfsOut.blocks.set(view, body, Math.floor(stat.total / blockSize));
  statfsOut.bfree.set(view, body, free);
  statfsOut.bavail.set(view, body, free);
  // The number of inodes is not limited. These values only keep programs from seeing a full file system.
  const unused = 2 ** 32;
  statfsOut.files.set(view, body, stat.files + unused);
  statfsOut.ffree.set(view, body, unused);
  statfsOut.bsize.set(view, body, blockSize);
  statfsOut.frsize.set(view, body, blockSize);
  statfsOut.namelen.set(view, body, stat.maxNameBytes);
  return statfsOut.$bytes;
}
