import { dirname } from 'node:path';
import { destination, type Logger, pino } from 'pino';
import { messageOf, SyncmountError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { printableJson } from '../base/printable.js';

export interface LogFile {
  readonly log: Logger;
  /** Call after the file was moved away: the log goes on in a new file of the same name. */
  reopen(): void;
}

/** Throws `SyncmountError` `directory` or `log-file`. */
function openStream(file: string | null): ReturnType<typeof destination> {
  if (file !== null) makeDirectory(dirname(file));
  try {
    // Synchronous, so that the last line before a crash is in the file.
    return destination({ dest: file ?? 2, sync: true, mode: 0o600 });
  } catch (error) {
    throw new SyncmountError('log-file', `cannot write the log file ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * The root logger: JSON lines, to a file of mode 0600 or to stderr. Callers never log credentials on purpose. If an object
 * with credentials gets into a line all the same, the logger replaces their values.
 */
export function createLogger(level: string, file: string | null): LogFile {
  const stream = openStream(file);
  // A log line that does not fit on a full disk must not end the mount.
  stream.on('error', () => undefined);
  const log = pino(
    {
      base: { pid: process.pid },
      level,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]),
        censor: '[secret]',
      },
      serializers: { error: errorFacts, err: errorFacts },
    },
    // Escaped, because people read the log at a terminal.
    { write: (line) => void stream.write(printableJson(line)) },
  );
  return { log, reopen: () => (file === null ? undefined : stream.reopen()) };
}

const secretKeys = [
  'consumerKey',
  'consumerSecret',
  'token',
  'tokenSecret',
  'password',
  'apiKey',
  'accessToken',
  'refreshToken',
  'clientSecret',
  'authorization',
  'Authorization',
];

/** An error as data, with its causes. */
function errorFacts(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack, cause } = error;
  const { code, data } = error as { code?: unknown; data?: unknown };
  return { name, code, message, data, stack, ...(cause === undefined ? {} : { cause: errorFacts(cause) }) };
}
