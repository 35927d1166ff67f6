/** Lines of the log: JSON in files, text for people. Pure functions, tested as a table. */
import { localTime } from '../../base/local-time.js';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** The parsed line; null for one that the logger did not write, such as the last output of a crashing runtime. */
export interface LogRecord {
  /** ms since 1970. */
  readonly time: number;
  readonly level: LogLevel;
  readonly message: string;
  /** The other fields of the line. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** Pino's numbers. */
const levelOf = (number: unknown): LogLevel =>
  typeof number !== 'number' || number < 30 ? 'debug' : number < 40 ? 'info' : number < 50 ? 'warn' : 'error';

export function parseRecord(line: string): LogRecord | null {
  try {
    const { time, level, msg, pid: _pid, ...data } = JSON.parse(line) as Record<string, unknown>;
    const at = Date.parse(String(time));
    return Number.isNaN(at) ? null : { time: at, level: levelOf(level), message: String(msg ?? ''), data };
  } catch {
    return null;
  }
}

/** The message, followed by its data: `/a is not stored: the account is full  errno=ENOSPC code=quota`. */
export function describeRecord({ message, data }: LogRecord): string {
  const words = Object.entries(data).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${wordOf(value)}`],
  );
  return words.length === 0 ? message : `${message}  ${words.join(' ')}`;
}

function wordOf(value: unknown): string {
  // The message of an error is enough here; its stack is in the JSON.
  const isError = typeof value === 'object' && value !== null && 'message' in value;
  const text = isError ? String(value.message) : typeof value === 'object' ? JSON.stringify(value) : String(value);
  return /[\s"=]/.test(text) || text === '' ? JSON.stringify(text) : text;
}

/** A line for users at a terminal, in local time. */
export function textOfRecord(record: LogRecord): string {
  return `${localTime(record.time)} ${record.level.padEnd(5)} ${describeRecord(record)}`;
}

/** The levels of sd-daemon(3), by which the journal sorts lines. */
const priorities: Readonly<Record<LogLevel, number>> = { debug: 7, info: 6, warn: 4, error: 3 };

/** A line for systemd's journal, which adds the time itself. */
export function journalLineOf(record: LogRecord): string {
  return `<${priorities[record.level]}>${describeRecord(record)}`;
}

export interface LogFilter {
  /** The lowest level that is shown. */
  readonly level?: LogLevel | undefined;
  /** ms since 1970. */
  readonly since?: number | undefined;
}

export function passes({ time, level }: LogRecord, filter: LogFilter): boolean {
  if (filter.since !== undefined && time < filter.since) return false;
  return filter.level === undefined || logLevels.indexOf(level) >= logLevels.indexOf(filter.level);
}
