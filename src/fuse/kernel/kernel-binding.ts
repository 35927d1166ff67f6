/** The binding that speaks the kernel's FUSE protocol itself: the default on Linux. */
import { stat } from 'node:fs/promises';
import { messageOf, SyncmountError } from '../../base/errors.js';
import type { OperationCount } from '../../base/operation-timings.js';
import type { Filesystem } from '../../filesystem/api.js';
import type { Binding, BindingOptions, Mounted, Probe } from '../binding.js';
import { checkDevice } from '../device.js';
import { findFusermount, isRoot } from '../programs.js';
import { type Addon, errnoName, loadAddon } from './addon.js';
import { FuseSession } from './session/fuse-session.js';
import { closeMount, openMount, raiseReadAhead } from './session/mounting.js';

class KernelMount implements Mounted {
  readonly mountpoint: string;
  readonly ended: Promise<void>;
  readonly #addon: Addon;
  readonly #session: FuseSession;
  #gone = false;

  constructor(addon: Addon, session: FuseSession, mountpoint: string) {
    this.#addon = addon;
    this.#session = session;
    this.mountpoint = mountpoint;
    this.ended = session.ended;
    this.ended.then(
      () => {
        this.#gone = true;
      },
      () => {},
    );
  }

  operationCounts(): readonly OperationCount[] {
    return this.#session.timings.counts();
  }

  unmount(): Promise<void> {
    return this.#leave({ lazy: false });
  }

  detach(): Promise<void> {
    return this.#leave({ lazy: true });
  }

  async #leave(how: { lazy: boolean }): Promise<void> {
    if (!this.#gone) await closeMount(this.#addon, this.mountpoint, how);
    this.#gone = true;
    // The mount may still exist in another mount namespace, but our side has ended.
    await this.#session.close({ abandon: how.lazy });
  }
}

async function mountKernel(fs: Filesystem, options: BindingOptions): Promise<Mounted> {
  const addon = loadAddon();
  const fd = await openMount(addon, options);
  const session = new FuseSession(addon, fd, fs, options.log);
  const mounted = new KernelMount(addon, session, options.mountpoint);
  try {
    await session.ready;
    // A call that goes through the kernel to us and back.
    await stat(options.mountpoint);
    await raiseReadAhead(options.mountpoint);
  } catch (cause) {
    await mounted.detach().catch(() => session.close({ abandon: true }));
    if (cause instanceof SyncmountError) throw cause;
    throw new SyncmountError('mount-failed', `${options.mountpoint} does not answer: ${messageOf(cause)}`, { cause });
  }
  return mounted;
}

export async function probeKernel(): Promise<Probe> {
  try {
    const addon = loadAddon();
    await checkDevice();
    const fd = addon.openDevice();
    if (fd < 0) return { ok: false, message: `/dev/fuse cannot be opened (${errnoName(fd)}): modprobe fuse` };
    addon.closeDescriptor(fd);
    if (!isRoot()) await findFusermount();
    return { ok: true, message: 'the kernel protocol over /dev/fuse' };
  } catch (error) {
    return { ok: false, message: messageOf(error) };
  }
}

export const kernelBinding: Binding = { name: 'kernel', sharesPages: false, probe: probeKernel, mount: mountKernel };
