/**
 * What every binding is: a way to show a `Filesystem` to the kernel under a mountpoint.
 *
 * The mount layer picks one (`native` over libfuse 2, `kernel` over /dev/fuse itself), calls `mount`, and needs to know
 * nothing more about it. Checks of the mountpoint (missing, not empty, already mounted) are the caller's.
 */
import type { Log } from '../base/log.js';
import type { Filesystem } from '../filesystem/api.js';

/** Shown after `fuse.` as the file system type in /proc/mounts: how we know our own mounts. */
export const fuseSubtype = 'syncmount';

export interface BindingOptions {
  /** An absolute path of an existing directory. */
  readonly mountpoint: string;
  /** The mount's source in /proc/mounts, for instance `syncmount:work:`. */
  readonly source: string;
  readonly readOnly: boolean;
  /** Others than the mounting user may enter; for an ordinary user /etc/fuse.conf must say `user_allow_other`. */
  readonly allowOther: boolean;
  readonly log: Log;
}

export interface Mounted {
  readonly mountpoint: string;
  /**
   * Unmounts as umount(8) does: rejects with a `SyncmountError` of code `busy`, and changes nothing, while a file is open
   * on the mount or a process stands in it. Resolves once the kernel no longer has it and every handle is released.
   */
  unmount(): Promise<void>;
  /**
   * Takes the mount out of the tree at once, whatever is open on it (umount -l), and interrupts what is under way, the
   * uploads of a close(2) included.
   */
  detach(): Promise<void>;
  /** Resolves when the mount is gone for whatever reason, an `umount` typed by someone else included. */
  readonly ended: Promise<void>;
}

/** What `doctor` prints of a binding. */
export interface Probe {
  readonly ok: boolean;
  /** One line: what works, or what is missing and how to get it. */
  readonly message: string;
}

export interface Binding {
  readonly name: 'native' | 'kernel';
  /** It cannot heed `OpenResult.apart`: all who have a file open share the kernel's pages of it, and must share its revision. */
  readonly sharesPages: boolean;
  /** Whether this machine can use it; never throws. */
  probe(): Promise<Probe>;
  /** Resolves when the mountpoint answers. Rejects with a `SyncmountError`: `fuse-missing`, `permission`, `mount-failed`. */
  mount(fs: Filesystem, options: BindingOptions): Promise<Mounted>;
}
