/**
 * The log of a part of the program: structurally a subset of pino's logger, so that the lower layers need no library.
 * Invariant: `data` never holds a secret. Callers leave credentials out, and the root logger also redacts known keys.
 */
export interface Log {
  debug(data: object, message: string): void;
  info(data: object, message: string): void;
  warn(data: object, message: string): void;
  error(data: object, message: string): void;
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
