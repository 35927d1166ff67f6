/**
 * How the commands talk to a mount: a Unix socket that only its owner can open, one JSON line a message.
 *
 * A request is `{command, …arguments}`; its answers are `{progress}` lines while it lasts, and one `{result}` or `{error}` at its end.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { codeOf, messageOf, SyncmountError } from '../base/errors.js';

export type ControlCommand = 'status' | 'unmount' | 'unmount-force' | 'retry-uploads' | 'discard-uploads';

/** What some commands need besides. */
export interface ControlArguments {
  /** As `status` names them. */
  readonly paths?: readonly string[];
}

interface Message {
  readonly progress?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

export type ControlHandler = (
  command: ControlCommand,
  args: ControlArguments,
  progress: (what: unknown) => void,
) => Promise<unknown>;

/** Listens on `path`; the file is made anew and of mode 0600. */
export async function serveControl(path: string, handle: ControlHandler): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    // The command may leave before its answer. (Both emit it, and an error that nobody hears ends the process.)
    socket.on('error', () => socket.destroy());
    createInterface({ input: socket })
      .on('error', () => socket.destroy())
      .on('line', (line) => void answer(socket, line, handle));
  });
  // The umask makes the file private from its first moment; listening needs no other.
  const umask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } finally {
    process.umask(umask);
  }
  chmodSync(path, 0o600);
  return server;
}

async function answer(socket: Socket, line: string, handle: ControlHandler): Promise<void> {
  const send = (message: Message): void => {
    if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
  };
  try {
    const { command, ...args } = JSON.parse(line) as { command: ControlCommand } & ControlArguments;
    send({ result: (await handle(command, args, (progress) => send({ progress }))) ?? null });
  } catch (error) {
    send({ error: { code: codeOf(error) ?? 'error', message: messageOf(error) } });
  }
  socket.end();
}

/** Sends one command and resolves with its result. Throws what the mount answered, or `no-answer`. */
export function askControl(
  path: string,
  command: ControlCommand,
  args: ControlArguments = {},
  progress?: (what: unknown) => void,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const fail = (cause?: unknown): void =>
      reject(new SyncmountError('no-answer', 'the mount does not answer', cause === undefined ? {} : { cause }));
    socket.once('error', fail);
    socket.once('connect', () => socket.write(`${JSON.stringify({ command, ...args })}\n`));
    createInterface({ input: socket })
      .on('error', fail)
      .on('line', (line) => {
        const message = JSON.parse(line) as Message;
        if (message.error !== undefined) reject(new SyncmountError(message.error.code, message.error.message));
        else if ('result' in message) resolve(message.result);
        else progress?.(message.progress);
      })
      .on('close', () => fail());
  });
}
