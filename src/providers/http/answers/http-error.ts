import { messageOf } from '../../../base/errors.js';
import { printable } from '../../../base/printable.js';
import { ProviderError, type ProviderErrorCode } from '../../errors.js';
import { TransportFailure } from '../transport/transport.js';

/**
 * May a request that failed be sent again?
 * - `never`     no
 * - `safely`    yes: the server surely did nothing
 * - `uncertain` only where repeating does no harm, or after looking up what the server did
 */
export type Repeat = 'never' | 'safely' | 'uncertain';

/** What one failed try means. Never leaves `http/` and the provider's own folder. */
export class TryFailure extends Error {
  readonly error: ProviderError;
  readonly repeat: Repeat;
  readonly retryAfterMs: number | undefined;
  /** The server's clock when it refused our timestamp, ms since the epoch. */
  readonly serverNow: number | undefined;
  readonly movedForMs: number;
  /** The Authorization header that was refused with 401. */
  readonly refused: string | undefined;

  constructor(
    error: ProviderError,
    repeat: Repeat,
    extra: { retryAfterMs?: number; serverNow?: number; movedForMs?: number; refused?: string } = {},
  ) {
    super(error.message);
    this.error = error;
    this.repeat = repeat;
    this.retryAfterMs = extra.retryAfterMs;
    this.serverNow = extra.serverNow;
    this.movedForMs = extra.movedForMs ?? 0;
    this.refused = extra.refused;
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
  /** When to come back, ms from now, where the body says it. */
  readonly retryAfterMs?: number;
  /** The server said that our clock is wrong. */
  readonly clockRefused?: boolean;
}

/** Status and body of an error answer to its meaning. */
export type ErrorReader = (status: number, text: string) => ErrorMeaning;

const transportCodes: Record<TransportFailure['kind'], { code: ProviderErrorCode; repeat: Repeat }> = {
  refused: { code: 'network', repeat: 'safely' },
  insecure: { code: 'network', repeat: 'never' },
  broken: { code: 'network', repeat: 'uncertain' },
  stalled: { code: 'timeout', repeat: 'uncertain' },
  source: { code: 'integrity', repeat: 'never' },
  aborted: { code: 'aborted', repeat: 'never' },
};

export function fromTransport(failure: TransportFailure, route: string): TryFailure {
  const { code, repeat } = transportCodes[failure.kind];
  const error = new ProviderError(code, `${route}: ${failure.message}`, {
    cause: failure.cause,
    data: { route },
  });
  return new TryFailure(error, repeat, { movedForMs: failure.movedForMs });
}

/** An answer that the documents do not allow: the server may have done its work all the same. */
export function protocolFailure(route: string, what: string, data: Record<string, unknown> = {}): TryFailure {
  return new TryFailure(new ProviderError('protocol', `${route}: ${what}`, { data: { route, ...data } }), 'uncertain');
}

/** Whatever a try threw. */
export function toTryFailure(thrown: unknown, route: string): TryFailure {
  if (thrown instanceof TryFailure) return thrown;
  if (thrown instanceof TransportFailure) return fromTransport(thrown, route);
  if (thrown instanceof ProviderError) return new TryFailure(thrown, 'never');
  return new TryFailure(
    new ProviderError('protocol', `${route}: ${messageOf(thrown)}`, { cause: thrown, data: { route } }),
    'never',
  );
}

/** A secret of this length or more stands in a message for itself alone, wherever it is, characters. */
const longSecret = 8;
/** A shorter word is in half of all messages by chance: to cut it out would mangle them, and tell what it is. */
const shortestSecret = 4;

/** One line of what a server said, without control characters or secrets, cut to `maxLength` characters. */
export function cleanMessage(text: string, secrets: readonly string[], maxLength = 200): string {
  // Before spaces are joined, which a password may hold, and afterwards, where a server has joined them.
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

/** Long ones first: one may be a part of another. Also as they stand in URLs and forms. */
function redact(text: string, secrets: readonly string[]): string {
  // By way of a Buffer: half of a character has no such form.
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
