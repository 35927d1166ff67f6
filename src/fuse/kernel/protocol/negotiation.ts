/** FUSE_INIT: what the kernel offers, what we take, and why. */
import { initFlag, initFlag2, oldestMinor, protocolMajor, protocolMinor } from './protocol.js';
import type { Reply } from './reply.js';
import type { Request } from './request.js';
import { initIn, initInMore, initOut } from './structs.js';

/** The largest write, and read: 256 pages, the most that a kernel grants without being told otherwise. */
export const maxWrite = 1024 * 1024;
const pageSize = 4096;
/** Read-ahead and direct I/O under way at a time: enough 1 MiB requests for a long fat pipe. */
const maxBackground = 64;
/** From here on the kernel starts no further read-ahead. */
const congestionThreshold = 48;

/**
 * - asyncRead: several read-ahead requests of one file at a time.
 * - atomicTruncate: O_TRUNC comes with OPEN, not as a SETATTR of its own (which would be an upload of its own).
 * - bigWrites, maxPages: requests of 1 MiB instead of a page and of 128 KiB.
 * - readdirplus without readdirplusAuto: a listing has every attribute at hand, so a chunk with them costs no more; the
 *   adaptive mode gives `ls -l` of a large directory one LOOKUP per name after the first chunk.
 * - asyncDirectIo: parts of one O_DIRECT call at a time.
 * - parallelDirectoryOperations: look-ups and listings of one directory at a time.
 * - abortError: tells an aborted connection (ECONNABORTED) from an unmount (ENODEV).
 * - explicitInvalidateData, and so not autoInvalidateData: the latter drops a file's pages whenever its modification time
 *   changes, also by our own write or by `touch`. The core says when content changed, and at open whether it did.
 * - handleKillPrivileges: without it the kernel asks for `security.capability` before every write(2).
 * - passthrough (7.40, Linux 6.9): files that lie complete in our cache are read by the kernel itself; passthrough.ts.
 *
 * Not taken: writebackCache (the core must know size and times, and close must report), posixLocks and flockLocks (the
 * kernel keeps locks of this machine by itself), dontMask (the kernel applies the umask), posixAcl, exportSupport.
 */
const wanted =
  initFlag.asyncRead |
  initFlag.atomicTruncate |
  initFlag.bigWrites |
  initFlag.readdirplus |
  initFlag.asyncDirectIo |
  initFlag.parallelDirectoryOperations |
  initFlag.abortError |
  initFlag.maxPages |
  initFlag.explicitInvalidateData |
  initFlag.handleKillPrivileges;

export type Negotiated =
  | { readonly kind: 'agreed'; readonly minor: number; readonly flags: number; readonly passthrough: boolean }
  /** The kernel knows a later major version, and asks again in ours. */
  | { readonly kind: 'ask-again' }
  | { readonly kind: 'too-old'; readonly major: number; readonly minor: number };

/** Reads FUSE_INIT and writes its answer behind the reply's header. */
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
    // Our cache lies on a file system of its own, not on one that is stacked on another.
    initOut.maxStackDepth.set(reply.view, reply.body, 1);
  }
  // Not more than it offers has any effect: the limit is the mount's read_ahead_kb (mounting.ts).
  initOut.maxReadahead.set(reply.view, reply.body, initIn.maxReadahead.get(view, body));
  initOut.maxBackground.set(reply.view, reply.body, maxBackground);
  initOut.congestionThreshold.set(reply.view, reply.body, congestionThreshold);
  initOut.maxWrite.set(reply.view, reply.body, maxWrite);
  initOut.timeGran.set(reply.view, reply.body, 1);
  initOut.maxPages.set(reply.view, reply.body, maxWrite / pageSize);
  return { kind: 'agreed', minor, flags, passthrough };
}

export const initReplyBytes = initOut.$bytes;
