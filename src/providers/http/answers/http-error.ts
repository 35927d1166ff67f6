/**
 * Failures of one HTTP try: their meaning, and whether the request may be sent again. Also removes secrets and control
 * characters from the messages of servers.
 */
import { messageOf } from '../../../base/errors.js';
import { printable } from '../../../base/printable.js';
import { ProviderError, type ProviderErrorCode } from '../../errors.js';
import { TransportFailure } from '../transport/wire.js';

/**
 * Whether a failed request may be sent again:
 * - `never`     no
 * - `safely`    yes: the server did nothing
 * - `uncertain` only if repeating does no harm, or after a lookup of what the server did
 */
export type Repeat = 'never' | 'safely' | 'uncertain';

/** One failed try. Only `http/` and the provider's folder see it. */
export class TryFailure extends Error {
  readonly error: ProviderError;
  readonly repeat: Repeat;
  readonly retryAfterMs: number | undefined;
  /** The server's clock when it refused our timestamp, ms since the epoch. */
  readonly serverNow: number | undefined;
  readonly transferMs: number;
  /** The Authorization header that was refused with 401. */
  readonly refused: string | undefined;
  /** The service may have the request, or a part of it. */
  readonly mayHaveArrived: boolean;

  constructor(
    error: ProviderError,
    repeat: Repeat,
    extra: {
      retryAfterMs?: number;
      serverNow?: number;
      transferMs?: number;
      refused?: string;
      mayHaveArrived?: boolean;
    } = {},
  ) {
    super(error.message);
    this.error = error;
    this.repeat = repeat;
    this.retryAfterMs = extra.retryAfterMs;
    this.serverNow = extra.serverNow;
    this.transferMs = extra.transferMs ?? 0;
    this.refused = extra.refused;
    this.mayHaveArrived = extra.mayHaveArrived ?? repeat !== 'safely';
  }
}

/** How a provider reads one error answer. */
export interface ErrorMeaning {
  readonly code: ProviderErrorCode;
  readonly repeat: Repeat;
  /** The provider's own code, such as `403.0201`. */
  readonly providerCode?: string;
  /** The provider's message, if any. */
  readonly message?: string;
  /** How long to wait before a retry, ms, if the body tells it. */
  readonly retryAfterMs?: number;
  /** The server said that our clock is wrong. */
  readonly clockRefused?: boolean;
}

/** Maps the status and body of an error answer to its meaning. */
export type ErrorReader = (status: number, text: string) => ErrorMeaning;

const transportCodes: Record<
  TransportFailure['kind'],
  { code: ProviderErrorCode; repeat: Repeat; mayHaveArrived?: false }
> = {
  refused: { code: 'network', repeat: 'safely' },
  insecure: { code: 'network', repeat: 'never', mayHaveArrived: false },
  broken: { code: 'network', repeat: 'uncertain' },
  stalled: { code: 'timeout', repeat: 'uncertain' },
  source: { code: 'integrity', repeat: 'never' },
  aborted: { code: 'aborted', repeat: 'never' },
  unsent: { code: 'aborted', repeat: 'never', mayHaveArrived: false },
};

export function fromTransport(failure: TransportFailure, route: string): TryFailure {
  const { code, repeat, ...more } = transportCodes[failure.kind];
  const error = new ProviderError(code, `${route}: ${failure.message}`, {
    cause: failure.cause,
    data: { route },
  });
  return new TryFailure(error, repeat, { transferMs: failure.transferMs, ...more });
}

/** The failure for an answer that the documents do not allow. The server may still have carried out the request. */
export function protocolFailure(
  route: string,
  what: string,
  data: Record<string, unknown> = {},
  cause?: unknown,
): TryFailure {
  const error = new ProviderError('protocol', `${route}: ${what}`, { cause, data: { route, ...data } });
  return new TryFailure(error, 'uncertain');
}

/** Turns anything that a try threw into a `TryFailure`. */
export function toTryFailure(thrown: unknown, route: string): TryFailure {
  if (thrown instanceof TryFailure) return thrown;
  if (thrown instanceof TransportFailure) return fromTransport(thrown, route);
  if (thrown instanceof ProviderError) return new TryFailure(thrown, 'never');
  return new TryFailure(
    new ProviderError('protocol', `${route}: ${messageOf(thrown)}`, { cause: thrown, data: { route } }),
    'never',
  );
}

/** Characters. A secret at least this long is cut out anywhere, also inside words, because it does not occur there by chance. */
const longSecret = 8;
/** Characters. A shorter secret is not cut out, because it occurs in many messages by chance, and the gaps would reveal it. */
const shortestSecret = 4;

/** A server's message as one line, without control characters or secrets, cut to `maxLength` characters. */
export function cleanMessage(text: string, secrets: readonly string[], maxLength = 200): string {
  // Twice: before runs of spaces are joined, because a password may contain them; and afterwards, because the server may
  // have joined them in the password that it quotes.
  const clean = redact(
    printable(
      redact(text, secrets)
        .replace(/[\p{Cc}\s]+/gu, ' ')
        .trim(),
    ),
    secrets,
  );
  return clean.length > maxLength ? `${clean.slice(0, maxLength - 1)}…` : clean;
}

/** Replaces secrets, also in the forms in which URLs and form bodies hold them. Longest first: one may be part of another. */
function redact(text: string, secrets: readonly string[]): string {
  // The Buffer replaces lone surrogates, for which encodeURIComponent would throw.
  const forms = secrets.flatMap((secret) => {
    const encoded = encodeURIComponent(Buffer.from(secret).toString());
    return [secret, encoded, encoded.replaceAll('%20', '+')];
  });
  const known = [...new Set(forms)]
    .filter(({ length }) => length >= shortestSecret)
    .sort((a, b) => b.length - a.length);
  return known.reduce((clean, secret) => {
    if (secret.length >= longSecret) return clean.replaceAll(secret, '[secret]');
    const quoted = secret.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    return clean.replace(new RegExp(`(?<![\\p{L}\\p{N}])${quoted}(?![\\p{L}\\p{N}])`, 'gu'), '[secret]');
  }, text);
}
