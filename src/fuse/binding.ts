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

/** The file system type in /proc/mounts, after `fuse.`. We recognize our own mounts by it. */
export const fuseSubtype = 'syncmount';

export interface BindingOptions {
  /** An absolute path of an existing directory. */
  readonly mountpoint: string;
  /** The mount's source in /proc/mounts. `mount -a` leaves out a line of fstab whose source and mountpoint it finds there. */
  readonly source: string;
  readonly readOnly: boolean;
  /** Restrictions that the kernel enforces in the mount. If it does not support one, nothing is mounted. */
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
   * Detaches the mount at once, even if files are open (umount -l), and interrupts the calls in flight, also uploads of a
   * close(2).
   */
  detach(): Promise<void>;
  /** Counts and durations of the calls. Absent if the binding does not count them. */
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
  /** The binding ignores `OpenResult.bypassesPageCache`. All opens of a file share the kernel's pages, so they must share its revision. */
  readonly sharesPages: boolean;
  /** Checks whether this machine can use the binding. Never throws. */
  probe(): Promise<Probe>;
  /** Resolves when the mountpoint answers. Rejects with a `SyncmountError`: `fuse-missing`, `permission`, `mount-failed`. */
  mount(fs: Filesystem, options: BindingOptions): Promise<Mounted>;
}
