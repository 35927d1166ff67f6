/**
 * What a part of the program may say. Structurally a subset of pino's logger, so that the lower layers need no library.
 * `data` never holds a secret: credentials are kept out by the callers, and the root logger redacts known keys besides.
 */
export interface Log {
  debug(data: object, message: string): void;
  info(data: object, message: string): void;
  warn(data: object, message: string): void;
  error(data: object, message: string): void;
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
