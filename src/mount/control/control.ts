/**
 * The protocol between commands and a mount: a Unix socket that only its owner can open, with one JSON line per message.
 *
 * A request is `{command, …arguments}`. The mount answers with `{progress}` lines meanwhile, and one `{result}` or `{error}` at
 * the end.
 */
import { chmodSync, closeSync, constants, openSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { codeOf, messageOf, SyncmountError } from '../../base/errors.js';
import { turn } from '../../base/event-loop-turns.js';
import { jsonPieces } from '../../base/json-pieces.js';
import type { LinkRequest, MemberRights } from '../../providers/provider.js';

export type ControlCommand =
  | 'status'
  | 'unmount'
  | 'unmount-force'
  | 'retry-uploads'
  | 'pause-uploads'
  | 'resume-uploads'
  | 'set'
  | 'metrics'
  | 'discard-uploads'
  | 'spooled'
  | 'trash-list'
  | 'trash-restore'
  | 'trash-empty'
  | 'info'
  | 'search'
  | 'search-remote'
  | 'link'
  | 'pin'
  | 'unpin'
  | 'pin-list'
  | 'cache-list'
  | 'cache-drop'
  | 'cache-warm'
  | 'members'
  | 'share';

/** The arguments of a command. */
export interface ControlArguments {
  /** Paths as `status` shows them. */
  readonly paths?: readonly string[];
  /** Names in the trash, as `trash-list` answers them. */
  readonly names?: readonly string[];
  /** The words of a search. */
  readonly query?: string;
  /** For `set`: options by name, as typed. */
  readonly values?: Readonly<Record<string, string>>;
  /** For `share`: the person, and that person's rights. */
  readonly email?: string;
  readonly rights?: MemberRights;
  /** For `link`. */
  readonly wish?: LinkRequest;
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
  /** Aborts if the command ends before its answer, as by Ctrl-C. */
  given: AbortSignal,
) => Promise<unknown>;

/** The kernel's limit on the path of a Unix socket, bytes (unix(7)), less its closing NUL. */
const MAX_SOCKET_PATH = 107;

/**
 * The address of a socket for system calls: its path, or, if that is too long, a path through its open directory. The address is valid
 * until `close`.
 */
function addressOf(path: string): { readonly address: string; close(): void } {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return { address: path, close: () => undefined };
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  let isOpen = true;
  return {
    address: `/proc/self/fd/${directory}/${basename(path)}`,
    close() {
      if (isOpen) closeSync(directory);
      isOpen = false;
    },
  };
}

/** Listens on `path`; the socket file is replaced, with mode 0600. */
export async function serveControl(path: string, handle: ControlHandler): Promise<Server> {
  rmSync(path, { force: true });
  const { address, close } = addressOf(path);
  const server = createServer((socket) => {
    // A command may end before its answer. Both the socket and the reader emit the error, and an unhandled one ends the process.
    socket.on('error', () => socket.destroy());
    createInterface({ input: socket })
      .on('error', () => socket.destroy())
      .on('line', (line) => void answer(socket, line, handle));
  });
  // When the server closes, Node removes the socket file by this address: it must be valid until then.
  server.on('close', close);
  // The umask makes the file private from its first moment.
  const umask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, resolve);
    });
  } catch (error) {
    close();
    throw error;
  } finally {
    process.umask(umask);
  }
  chmodSync(path, 0o600);
  return server;
}

/** Writes long parts one by one, with a turn of the event loop after each. */
const PART = 64 * 1024;

async function answer(socket: Socket, line: string, handle: ControlHandler): Promise<void> {
  const write = (text: string): void => {
    if (socket.writable) socket.write(text);
  };
  const send = (message: Message): void => write(`${JSON.stringify(message)}\n`);
  const sendResult = async (result: unknown): Promise<void> => {
    let text = '';
    for (const piece of jsonPieces({ result })) {
      text += piece;
      if (text.length < PART) continue;
      write(text);
      text = '';
      await turn();
    }
    write(`${text}\n`);
  };
  const given = new AbortController();
  socket.once('close', () => given.abort(new SyncmountError('aborted', 'the command has ended')));
  try {
    const { command, ...args } = JSON.parse(line) as { command: ControlCommand } & ControlArguments;
    await sendResult((await handle(command, args, (progress) => send({ progress }), given.signal)) ?? null);
  } catch (error) {
    send({ error: { code: codeOf(error) ?? 'error', message: messageOf(error) } });
  }
  socket.end();
}

/**
 * Sends one command and resolves with its result. Throws the error that the mount answers, `no-answer` if no mount listens or it ends
 * first, and `silent` if it sends nothing for `patienceMs`.
 */
export function askControl(
  path: string,
  command: ControlCommand,
  args: ControlArguments = {},
  progress?: (what: unknown) => void,
  patienceMs?: number,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const { socket, close } = connect(path);
    const fail = (cause?: unknown): void => {
      reject(new SyncmountError('no-answer', 'the mount does not answer', cause === undefined ? {} : { cause }));
      socket?.destroy();
    };
    if (socket === null) return fail();
    socket.once('error', fail).once('close', close);
    socket.once('connect', () => {
      close();
      socket.write(`${JSON.stringify({ command, ...args })}\n`);
    });
    if (patienceMs !== undefined) {
      socket.setTimeout(patienceMs, () => {
        socket.destroy();
        reject(new SyncmountError('silent', `the mount has not answered for ${patienceMs / 1000} s`));
      });
    }
    createInterface({ input: socket })
      .on('error', fail)
      .on('line', (line) => {
        const message = messageIn(line);
        if (message === null) fail();
        else if (message.error !== undefined) reject(new SyncmountError(message.error.code, message.error.message));
        else if ('result' in message) resolve(message.result);
        else progress?.(message.progress);
      })
      .on('close', () => fail());
  });
}

function connect(path: string): { socket: Socket | null; close(): void } {
  try {
    const { address, close } = addressOf(path);
    return { socket: createConnection(address), close };
  } catch {
    // The directory of the socket is gone, and so is the mount.
    return { socket: null, close: () => undefined };
  }
}

/** Null for a line that is no message of ours. */
function messageIn(line: string): Message | null {
  try {
    const message: unknown = JSON.parse(line);
    return typeof message === 'object' && message !== null ? (message as Message) : null;
  } catch {
    return null;
  }
}
