/** Decodes FUSE_SETATTR, and clears the set-id bits when the kernel leaves that to us. */
import type { MaybePromise } from '../../../base/maybe-promise.js';
import type { AttributeChange, Attributes, Filesystem, Ino, Timespec } from '../../../filesystem/api.js';
import { FsError } from '../../../filesystem/core/fs-error.js';
import { andThen, fileOffset } from '../../answers.js';
import type { Connection } from '../connection/connection.js';
import { setattrValid as valid } from '../protocol/protocol.js';
import type { Request } from '../protocol/request.js';
import { setattrIn } from '../protocol/structs.js';
import { permissionMask } from './operation.js';

const setUserId = 0o4000;
const setGroupId = 0o2000;
const groupExecute = 0o0010;

type Seconds = typeof setattrIn.atime;
type Nanoseconds = typeof setattrIn.atimensec;

function timeOf({ view, body }: Request, seconds: Seconds, nanoseconds: Nanoseconds): Timespec {
  const nsec = nanoseconds.get(view, body);
  if (nsec >= 1e9) throw new FsError('EINVAL', 'more nanoseconds than a second has');
  return { sec: seconds.getSigned(view, body), nsec };
}

/** The mode without the bits that a write, a truncation or a new owner clears: Linux, notify_change(). */
function withoutSetId(mode: number): number {
  const keepsGroup = (mode & groupExecute) === 0;
  return mode & ~setUserId & (keepsGroup ? permissionMask : ~setGroupId);
}

/**
 * Clears the set-id bits, if any: with FUSE_HANDLE_KILLPRIV_V2 that is the file system's duty. The kernel does not expect a changed
 * mode after an OPEN or a WRITE, so it is notified.
 */
export function dropPrivileges({ fs, attributesChanged }: Connection, ino: Ino): MaybePromise<unknown> {
  return andThen(fs.getattr(ino), ({ kind, mode }) => {
    const reduced = withoutSetId(mode);
    if (kind === 'directory' || reduced === mode) return;
    return andThen(fs.setattr(ino, { mode: reduced }), () => attributesChanged(ino));
  });
}

export function decodeSetattr(fs: Filesystem, ino: Ino, request: Request): MaybePromise<AttributeChange> {
  const { view, body } = request;
  const bits = setattrIn.valid.get(view, body);
  const has = (bit: number): boolean => (bits & bit) !== 0;
  const change: AttributeChange = {
    ...(has(valid.mode) ? { mode: setattrIn.mode.get(view, body) & permissionMask } : {}),
    ...(has(valid.uid) ? { uid: setattrIn.uid.get(view, body) } : {}),
    ...(has(valid.gid) ? { gid: setattrIn.gid.get(view, body) } : {}),
    ...(has(valid.size) ? { size: fileOffset(setattrIn.size.get(view, body)) } : {}),
    ...(has(valid.atime)
      ? { atime: has(valid.atimeNow) ? 'now' : timeOf(request, setattrIn.atime, setattrIn.atimensec) }
      : {}),
    ...(has(valid.mtime)
      ? { mtime: has(valid.mtimeNow) ? 'now' : timeOf(request, setattrIn.mtime, setattrIn.mtimensec) }
      : {}),
    ...(has(valid.handle) ? { handle: setattrIn.fh.get(view, body) } : {}),
  };
  // A change of the owner clears the bits even without the flag, unless a new mode comes with it. Before a write that clears
  // the bits, the kernel sends an empty SETATTR, and learns the new mode only from the answer.
  const kills = bits === 0 || has(valid.killPrivileges) || has(valid.uid) || has(valid.gid);
  if (!kills || has(valid.mode)) return change;
  return andThen(fs.getattr(ino), ({ kind, mode }: Attributes) => {
    const reduced = withoutSetId(mode);
    return kind === 'directory' || reduced === mode ? change : { ...change, mode: reduced };
  });
}
