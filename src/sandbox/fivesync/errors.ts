/** "All error responses follow a consistent format". The document gives a table of types, but no codes. */
import { Refusal } from '../refusal.js';

const statuses: Record<string, number> = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  rate_limit_exceeded: 429,
  internal_error: 500,
};

export class ApiError extends Refusal {
  readonly status: number;

  constructor(
    readonly code: string,
    message: string,
    readonly headers: Record<string, string> = {},
    status?: number,
  ) {
    super(message);
    this.name = 'ApiError';
    this.status = status ?? statuses[code] ?? 500;
  }

  body(): object {
    return { error: { type: this.code, message: this.message } };
  }
}

/** The document's error type for a status. */
export function typeOf(status: number): string {
  return Object.keys(statuses).find((type) => statuses[type] === status) ?? 'internal_error';
}

export const badRequest = (message: string) => new ApiError('bad_request', message);
export const unauthorized = () => new ApiError('unauthorized', 'Invalid or expired API key.');
export const forbidden = (message = 'API key does not have permission for this action.') =>
  new ApiError('forbidden', message);
export const notFound = () => new ApiError('not_found', 'The requested resource does not exist.');
export const rateLimited = (seconds: number, headers: Record<string, string>) =>
  new ApiError('rate_limit_exceeded', `Rate limit exceeded. Try again in ${seconds} seconds.`, headers);
/** No status is documented for it. */
export const nameTaken = (status: number) =>
  new ApiError(typeOf(status) === 'internal_error' ? 'conflict' : typeOf(status), 'The name is taken.', {}, status);
export const internal = (why: string) => new ApiError('internal_error', `Unexpected server error: ${why}`);
/** An error of plain HTTP, which the document does not mention. */
export const tooLarge = (message: string) => new ApiError('bad_request', message, {}, 413);
/** Also plain HTTP. */
export const badRange = (size: number) =>
  new ApiError('bad_request', 'The range is outside of the file.', { 'content-range': `bytes */${size}` }, 416);
