/**
 * A view of one kernel request in the buffer that it was read into: a fuse_in_header, a struct, names or data.
 *
 * A `Request` is reused for the next read. So a handler must not use it after it returns, unless it has called
 * `Connection.keepUntil`. Accessors check all lengths and throw EINVAL.
 */
import { decodeName } from '../../../base/raw-names.js';
import { FsError } from '../../../filesystem/core/fs-error.js';
import { inHeader } from './structs.js';

export class Request {
  readonly bytes: Buffer;
  readonly view: DataView;
  opcode = 0;
  unique = 0;
  nodeid = 0;
  uid = 0;
  gid = 0;
  pid = 0;
  /** Offsets of the struct after the header, and of the end of the request. */
  readonly body = inHeader.$bytes;
  end = 0;

  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }

  /** Parses the header of a request of `length` bytes in `bytes`. False if it is not a request, so that it cannot be answered. */
  parse(length: number): boolean {
    const { view } = this;
    if (length < inHeader.$bytes || length > this.bytes.length || inHeader.len.get(view, 0) !== length) return false;
    this.opcode = inHeader.opcode.get(view, 0);
    this.unique = inHeader.unique.get(view, 0);
    this.nodeid = inHeader.nodeid.get(view, 0);
    this.uid = inHeader.uid.get(view, 0);
    this.gid = inHeader.gid.get(view, 0);
    this.pid = inHeader.pid.get(view, 0);
    // Extensions (7.38) would follow the data, but we did not request any.
    this.end = length - inHeader.totalExtlen.get(view, 0) * 8;
    return this.end >= this.body;
  }

  /** The position after the NUL of the name that starts at `at`. */
  afterName(at: number): number {
    const nul = this.bytes.indexOf(0, at);
    if (nul < 0 || nul >= this.end) throw new FsError('EINVAL', 'a name without an end');
    return nul + 1;
  }

  name(at: number): string {
    return decodeName(this.bytes.subarray(at, this.afterName(at) - 1));
  }

  /** A copy of the bytes up to the NUL, not decoded: the target of a symbolic link has no defined encoding. */
  bytesOfName(at: number): Uint8Array {
    return Uint8Array.from(this.bytes.subarray(at, this.afterName(at) - 1));
  }

  /** `length` bytes from `at`, still in the request's buffer. */
  data(at: number, length: number): Uint8Array {
    if (length > this.end - at) throw new FsError('EINVAL', 'less data than announced');
    return this.bytes.subarray(at, at + length);
  }
}
