/**
 * The interface of a binding, which presents a `Filesystem` to the kernel at a mountpoint.
 *
 * The mount layer picks one (`native` over libfuse 2, `kernel` over /dev/fuse itself) and calls `mount`; it knows nothing
 * more about it. The caller checks the mountpoint (missing, not empty, already mounted).
 */
import type { Log } from '../base/log.js';
import type { OperationCount } from '../base/operation-timings.js';
import type { KernelFlag } from '../config/options.js';
import type { Filesystem } from '../filesystem/api.js';

/** The file system type in /proc/mounts, after `fuse.`. By it we recognize our own mounts. */
export const fuseSubtype = 'syncmount';

export interface BindingOptions {
  /** An absolute path of an existing directory. */
  readonly mountpoint: string;
  /** The mount's source in /proc/mounts. `mount -a` leaves out a line of fstab whose source and mountpoint it finds there. */
  readonly source: string;
  readonly readOnly: boolean;
  /** What the kernel refuses to programs in the mount. Where it cannot, nothing is mounted. */
  readonly flags: readonly KernelFlag[];
  /** Other users may enter the mount. For an ordinary user, /etc/fuse.conf must say `user_allow_other`. */
  readonly allowOther: boolean;
  readonly log: Log;
}

export interface Mounted {
  readonly mountpoint: string;
  /**
   * Unmounts as umount(8) does. While a file is open on the mount, or a process has its working directory there, it rejects
   * with a `SyncmountError` of code `busy` and changes nothing. Resolves when the kernel has dropped the mount and every
   * handle is released.
   */
  unmount(): Promise<void>;
  /**
   * Detaches the mount at once, even if files are open (umount -l), and interrupts the calls under way, also uploads of a
   * close(2).
   */
  detach(): Promise<void>;
  /** What was called, and how long it took; absent where the binding does not count. */
  operationCounts?(): readonly OperationCount[];
  /** Resolves when the mount is gone for any reason, also if another person unmounts it. */
  readonly ended: Promise<void>;
}

/** The result of a binding's self-check, for `doctor`. */
export interface Probe {
  readonly ok: boolean;
  /** One line: what works, or what is missing and how to get it. */
  readonly message: string;
}

export interface Binding {
  readonly name: 'native' | 'kernel';
  /** It ignores `OpenResult.bypassesPageCache`: all opens of a file share the kernel's page cache, so they must share its revision. */
  readonly sharesPages: boolean;
  /** Whether this machine can use it; never throws. */
  probe(): Promise<Probe>;
  /** Resolves when the mountpoint answers. Rejects with a `SyncmountError`: `fuse-missing`, `permission`, `mount-failed`. */
  mount(fs: Filesystem, options: BindingOptions): Promise<Mounted>;
}
