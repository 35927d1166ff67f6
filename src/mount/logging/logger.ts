import { fstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { destination, type Logger, pino } from 'pino';
import { systemClock } from '../../base/clock.js';
import { messageOf, SyncmountError } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import { printable, printableJson } from '../../base/printable.js';
import { RotatedFile, type Rotation } from './log-file.js';
import { journalLineOf, parseRecord, textOfRecord } from './log-records.js';

export interface LogFile {
  readonly log: Logger;
  /** Must be called after the file was moved away. The log goes on in a new file of the same name. */
  reopen(): void;
}

interface Lines {
  /** Takes one line of JSON, with its line break. */
  write(line: string): void;
  reopen(): void;
}

/**
 * The root logger: JSON lines to a file of mode 0600, or text for people to stderr. Callers never log credentials on purpose. If
 * credentials get into a line all the same, the logger replaces their values. Throws `SyncmountError` `directory` or `log-file`.
 */
export function createLogger(level: string, file: string | null, rotation: Rotation): LogFile {
  const lines = file === null ? toPeople() : toFile(file, rotation);
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
    lines,
  );
  return {
    log,
    reopen() {
      try {
        lines.reopen();
      } catch (error) {
        log.warn({ reason: messageOf(error) }, 'the log file cannot be opened again');
      }
    },
  };
}

function toFile(file: string, rotation: Rotation): Lines {
  makeDirectory(dirname(file));
  try {
    const rotated = new RotatedFile(file, rotation, systemClock);
    return {
      // Escaped, because users read the log at a terminal.
      write: (line) => rotated.write(printableJson(line)),
      reopen: () => rotated.reopen(),
    };
  } catch (error) {
    throw new SyncmountError('log-file', `cannot write the log file ${file}: ${messageOf(error)}`, { cause: error });
  }
}

function toPeople(): Lines {
  const stream = destination({ dest: 2, sync: true });
  // Standard error that cannot be written must not end the mount.
  stream.on('error', () => undefined);
  const textOf = isJournal(process.env.JOURNAL_STREAM) ? journalLineOf : textOfRecord;
  return {
    write(line) {
      const record = parseRecord(line);
      if (record !== null) stream.write(`${printable(textOf(record))}\n`);
    },
    reopen: () => undefined,
  };
}

/** Is standard error connected to systemd's journal? According to systemd.exec(5), `JOURNAL_STREAM` has the device and inode. */
function isJournal(variable: string | undefined): boolean {
  try {
    const { dev, ino } = fstatSync(2);
    return variable === `${dev}:${ino}`;
  } catch {
    // Closed.
    return false;
  }
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
