/**
 * The base class of every error that this program throws on purpose.
 *
 * `code` is stable and meant for programs; `message` is one line for people; `cause` is the error below it, if any;
 * `data` holds facts for a log line (never a secret).
 */
export class SyncmountError extends Error {
  readonly code: string;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: { cause?: unknown; data?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.data = options.data ?? {};
  }
}

/** A mistake of the user at the command line: bad flag, bad value. The process exits with 2. */
export class UsageError extends SyncmountError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('usage', message, options);
  }
}

/** The one-line message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a thrown value (`ENOENT`, `not-found`, …), or undefined if it has none. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : undefined;
}
