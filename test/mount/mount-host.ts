/**
 * Processes that mount for the tests of many files, one mount after the other: a process takes ten times as long for its first mount
 * as for the next ones, and these tests mount a thousand times. They end with the process of the tests.
 *
 * A mount that is ended by something else than `World` (a signal, a command, umount(8)) takes its process with it, as ever.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { Notice, Order } from './host-process.js';

const program = resolve('dist/mount-host.cjs');

/** What a mount in the background tells the command that started it. */
interface Started {
  readonly ready?: true;
  readonly failed?: string;
}

type Message = Notice & Started;

const idle: MountHost[] = [];

/** How many wait for the mounts of the next file: few tests have more at once, and each has 90 MiB. */
const KEPT = 3;

/** At the end of a file: resolves when no more than a few processes wait for another mount. */
export async function endSpareMountHosts(): Promise<void> {
  await Promise.all(idle.splice(KEPT).map((host) => host.exit()));
}

export class MountHost {
  /** Otherwise each mount is a process, as for who measures one. */
  static isOffered = false;
  readonly #child: ChildProcess;
  #isLost = false;
  /** The end of the mount, or of its process. */
  #over: Promise<unknown> = Promise.resolve();

  private constructor() {
    this.#child = spawn(process.execPath, [program], {
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { UV_THREADPOOL_SIZE: '16', ...process.env, SYNCMOUNT_BACKGROUND: '1' },
    });
    // The process ends with this one.
    this.#child.unref();
    this.#child.channel?.unref();
  }

  /** One that has no mount. */
  static take(): MountHost {
    return idle.pop() ?? new MountHost();
  }

  /** Resolves when the mountpoint answers. `args`: of `syncmount mount`. */
  async mount(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
    const started = this.#next(({ ready, failed }) => ready === true || failed !== undefined);
    this.#over = this.#next(({ over }) => over === true);
    this.#send({ mount: args, env });
    const message = await started;
    if (typeof message === 'string') throw new Error(`mount: it ended with ${message}`);
    if (message.failed !== undefined) throw new Error(`mount: ${message.failed}`);
  }

  /** Carries out what ends the mount. The process waits for the next mount, unless it ends all the same. */
  async end<T>(act: () => Promise<T>): Promise<T> {
    await this.#setStay(true);
    try {
      return await act();
    } catch (error) {
      await this.#setStay(false);
      throw error;
    }
  }

  /** The process is about to be killed: it is for no other mount, even if this one ends before. */
  lose(): void {
    this.#isLost = true;
  }

  /** Resolves when the mount has ended; false where its process has. */
  async over(): Promise<boolean> {
    const isIdle = typeof (await this.#over) !== 'string' && !this.#isLost;
    if (isIdle) idle.push(this);
    return isIdle;
  }

  async exit(): Promise<void> {
    const gone = this.#next(() => false);
    this.#child.disconnect();
    await gone;
  }

  async #setStay(stay: boolean): Promise<void> {
    const noted = this.#next(({ noted }) => noted === true);
    this.#send({ stay });
    await noted;
  }

  #send(order: Order): void {
    // Nobody is there any more: its end is told by `#next`.
    this.#child.send(order, () => undefined);
  }

  /** The next message of a kind, or in words how the process has ended. */
  #next(isIt: (message: Message) => boolean): Promise<Message | string> {
    const child = this.#child;
    return new Promise((resolve) => {
      const done = (answer: Message | string): void => {
        child.off('message', onMessage);
        child.off('exit', onExit);
        resolve(answer);
      };
      const onMessage = (message: Message): void => {
        if (isIt(message)) done(message);
      };
      const onExit = (): void => done(`${child.signalCode ?? child.exitCode}`);
      child.on('message', onMessage);
      child.on('exit', onExit);
      if (child.exitCode !== null || child.signalCode !== null) onExit();
    });
  }
}
