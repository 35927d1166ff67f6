/**
 * Processes that mount for the tests of many files, one mount after the other. A process takes ten times as long for its first mount
 * as for the next ones, and these tests mount a thousand times. The processes end with the process of the tests.
 *
 * If something other than `World` ends a mount (a signal, a command, umount(8)), its process ends too, as outside of tests.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { Notice, Order } from './host-process.js';

const program = resolve('dist/mount-host.cjs');

/** The message from a mount in the background to the command that started it. */
interface Started {
  readonly ready?: true;
  readonly failed?: string;
}

type Message = Notice & Started;

const idle: MountHost[] = [];

/** The number of idle processes kept for the next file. Few tests have more mounts at once, and each process takes 90 MiB. */
const KEPT = 3;

/** At the end of a file: ends the idle processes beyond `KEPT`. */
export async function endSpareMountHosts(): Promise<void> {
  await Promise.all(idle.splice(KEPT).map((host) => host.exit()));
}

export class MountHost {
  /** If false, each mount gets a new process, for example to measure it. */
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
    // The child ends with this process, and must not keep it alive.
    this.#child.unref();
    this.#child.channel?.unref();
  }

  /** Returns a process without a mount: an idle one, or a new one. */
  static take(): MountHost {
    return idle.pop() ?? new MountHost();
  }

  /** Resolves when the mountpoint answers. `args`: the arguments of `syncmount mount`. */
  async mount(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
    const started = this.#next(({ ready, failed }) => ready === true || failed !== undefined);
    this.#over = this.#next(({ over }) => over === true);
    this.#send({ mount: args, env });
    const message = await started;
    if (typeof message === 'string') throw new Error(`mount: it ended with ${message}`);
    if (message.failed !== undefined) throw new Error(`mount: ${message.failed}`);
  }

  /** Runs `act`, which ends the mount. The process then waits for the next mount, if it lives on. */
  async end<T>(act: () => Promise<T>): Promise<T> {
    await this.#setStay(true);
    try {
      return await act();
    } catch (error) {
      await this.#setStay(false);
      throw error;
    }
  }

  /** Marks a process that is about to be killed: it must get no other mount, even if this mount ends before. */
  lose(): void {
    this.#isLost = true;
  }

  /** Resolves when the mount has ended: false if its process has ended too, or is marked by `lose`. */
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
    // An error means that the process is gone. `#next` reports its end.
    this.#child.send(order, () => undefined);
  }

  /** The next message for which `isIt` holds, or a text that says how the process ended. */
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
