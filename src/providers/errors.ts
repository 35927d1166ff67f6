import { SyncmountError } from '../base/errors.js';

/**
 * What can go wrong between us and a provider, whatever its protocol. The file system maps these to errno in one place.
 *
 * - `not-found`      the object is gone (or never was)
 * - `exists`         the name is taken in its folder
 * - `invalid-name`   the provider cannot hold this name
 * - `permission`     this account may not do that to this object
 * - `auth`           the credentials are dead: only `syncmount login` mends it
 * - `quota`          no storage left
 * - `too-large`      one file is over the plan's size limit
 * - `limit`          a count limit of the plan (files in a folder, folders in the account, nesting)
 * - `rate-limited`   the account's requests are used up: `data.resetAt` (ms since the epoch) where the server said when
 *                    there are new ones, which is beyond the deadline; without it, 429 until the deadline
 * - `revision-changed` the object no longer has the revision that the caller asked bytes of
 * - `integrity`      what the provider stored or sent is not what was meant (size, md5, short body)
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
