import { SyncmountError } from '../base/errors.js';

/**
 * The ways in which an operation of a provider can fail, whatever its protocol. `filesystem/core/errno.ts` maps them to errno.
 *
 * - `not-found`      the object is gone (or never was)
 * - `exists`         the name is taken in its folder
 * - `invalid-name`   the provider cannot hold this name
 * - `permission`     this account may not do that to this object
 * - `auth`           the credentials are no longer valid: only `syncmount login` helps
 * - `quota`          no storage left
 * - `too-large`      one file is over the plan's size limit
 * - `limit`          a count limit of the plan (files in a folder, folders in the account, nesting)
 * - `rate-limited`   the account's rate limit is used up. With `data.resetAt` (ms since the epoch): the server said when
 *                    it is lifted, which is after the deadline. Without it: 429 until the deadline
 * - `revision-changed` the object no longer has the revision whose bytes the caller wants
 * - `integrity`      the provider stored or sent the wrong bytes (size, md5, short body)
 * - `unsupported`    this provider has no such operation
 * - `network`        no answer: refused, reset, DNS, offline
 * - `timeout`        no answer within the deadline
 * - `server`         5xx until the deadline
 * - `protocol`       an answer that the documents do not allow
 * - `aborted`        the caller's signal fired
 */
export type ProviderErrorCode =
  | 'not-found'
  | 'exists'
  | 'invalid-name'
  | 'permission'
  | 'auth'
  | 'quota'
  | 'too-large'
  | 'limit'
  | 'rate-limited'
  | 'revision-changed'
  | 'integrity'
  | 'unsupported'
  | 'network'
  | 'timeout'
  | 'server'
  | 'protocol'
  | 'aborted';

/** The only kind of error that leaves a provider. `data` may hold `{status, providerCode, route, retryAfterMs, resetAt}`. */
export class ProviderError extends SyncmountError {
  declare readonly code: ProviderErrorCode;

  constructor(
    code: ProviderErrorCode,
    message: string,
    options: { cause?: unknown; data?: Record<string, unknown> } = {},
  ) {
    super(code, message, options);
  }
}
