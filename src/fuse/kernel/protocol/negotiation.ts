/** FUSE_INIT: the kernel features that we accept, with reasons. */
import { initFlag, initFlag2, oldestMinor, protocolMajor, protocolMinor } from './protocol.js';
import type { Reply } from './reply-buffer.js';
import type { Request } from './request.js';
import { initIn, initInMore, initOut } from './structs.js';

/** The largest write and read: 256 pages, the limit of a kernel in its default configuration. */
export const maxWrite = 1024 * 1024;
const pageSize = 4096;
/** How many requests of read-ahead and direct I/O may run at once: enough 1 MiB requests for a long fat pipe. */
const maxBackground = 64;
/** While this many requests run, the kernel starts no further read-ahead. */
const congestionThreshold = 48;

/**
 * - asyncRead: several read-ahead requests of one file at a time.
 * - atomicTruncate: O_TRUNC comes with OPEN, not as a separate SETATTR, which would cause a separate upload.
 * - bigWrites, maxPages: requests of 1 MiB instead of a page and of 128 KiB.
 * - readdirplus without readdirplusAuto: a listing has all attributes, so sending them costs nothing. In the adaptive mode,
 *   `ls -l` of a large directory causes one LOOKUP per name after the first chunk.
 * - asyncDirectIo: several parts of one O_DIRECT call at a time.
 * - parallelDirectoryOperations: several look-ups and listings of one directory at a time.
 * - cacheSymlinks: the kernel keeps the targets of symbolic links, which never change.
 * - abortError: tells an aborted connection (ECONNABORTED) from an unmount (ENODEV).
 * - explicitInvalidateData, and so not autoInvalidateData: the latter drops a file's pages whenever its modification time
 *   changes, even by our own write or by `touch`. The core tells the kernel when content changed, also at open.
 * - handleKillPrivileges: without it the kernel asks for `security.capability` before every write(2).
 * - posixAcl, extendedSetxattr: the kernel reads ACLs from us and checks permissions by them. The request says if setting an ACL
 *   must also clear the set-group-ID bit.
 * - dontMask: the umask has no effect in a directory with a default ACL, and only the core knows which have one.
 * - passthrough (7.40, Linux 6.9): the kernel itself reads files that are complete in our cache; see passthrough.ts.
 *
 * Not accepted: writebackCache (the core must know size and times, and close must report errors), posixLocks and flockLocks
 * (the kernel handles this machine's locks itself), exportSupport.
 */
const wanted =
  initFlag.asyncRead |
  initFlag.atomicTruncate |
  initFlag.bigWrites |
  initFlag.dontMask |
  initFlag.readdirplus |
  initFlag.asyncDirectIo |
  initFlag.parallelDirectoryOperations |
  initFlag.posixAcl |
  initFlag.abortError |
  initFlag.maxPages |
  initFlag.cacheSymlinks |
  initFlag.explicitInvalidateData |
  initFlag.handleKillPrivileges |
  initFlag.extendedSetxattr;

export type Negotiated =
  | {
      readonly kind: 'agreed';
      readonly minor: number;
      readonly flags: number;
      readonly passthrough: boolean;
      readonly extendedSetxattr: boolean;
    }
  /** The kernel has a later major version, and sends FUSE_INIT again with ours. */
  | { readonly kind: 'ask-again' }
  | { readonly kind: 'too-old'; readonly major: number; readonly minor: number };

/** Reads FUSE_INIT and writes the answer after the reply's header. */
export function negotiate(request: Request, reply: Reply): Negotiated {
  const { view, body } = request;
  const major = initIn.major.get(view, body);
  const minor = initIn.minor.get(view, body);
  reply.clear(reply.body, initOut.$bytes);
  initOut.major.set(reply.view, reply.body, protocolMajor);
  initOut.minor.set(reply.view, reply.body, protocolMinor);
  if (major > protocolMajor) return { kind: 'ask-again' };
  if (major < protocolMajor || minor < oldestMinor) return { kind: 'too-old', major, minor };

  const offered = initIn.flags.get(view, body);
  const isExtended = (offered & initFlag.extended) !== 0 && request.end - body >= initIn.$bytes + initInMore.$bytes;
  const passthrough = isExtended && (initInMore.flags2.get(view, body + initIn.$bytes) & initFlag2.passthrough) !== 0;
  const flags = ((offered & wanted) | (passthrough ? initFlag.extended : 0)) >>> 0;
  initOut.flags.set(reply.view, reply.body, flags);
  if (passthrough) {
    initOut.flags2.set(reply.view, reply.body, initFlag2.passthrough);
    // The file system of our cache is not stacked on another one.
    initOut.maxStackDepth.set(reply.view, reply.body, 1);
  }
  // A larger value than the kernel's has no effect: the limit is the mount's read_ahead_kb (mounting.ts).
  initOut.maxReadahead.set(reply.view, reply.body, initIn.maxReadahead.get(view, body));
  initOut.maxBackground.set(reply.view, reply.body, maxBackground);
  initOut.congestionThreshold.set(reply.view, reply.body, congestionThreshold);
  initOut.maxWrite.set(reply.view, reply.body, maxWrite);
  initOut.timeGran.set(reply.view, reply.body, 1);
  initOut.maxPages.set(reply.view, reply.body, maxWrite / pageSize);
  return { kind: 'agreed', minor, flags, passthrough, extendedSetxattr: (flags & initFlag.extendedSetxattr) !== 0 };
}

export const initReplyBytes = initOut.$bytes;
