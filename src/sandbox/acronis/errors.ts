/** `{"error": {"domain": "Files", "code", "message"}}` with the codes of the document's examples. */
import { Refusal } from '../refusal.js';

export class ApiError extends Refusal {
  readonly code: string;

  constructor(
    readonly status: number,
    readonly number: number,
    message: string,
    readonly context?: object,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
    this.name = 'ApiError';
    this.code = `${status}/${number}`;
  }

  body(): object {
    const context = this.context ? { context: this.context } : {};
    return { error: { domain: 'Files', code: this.number, message: this.message, ...context } };
  }
}

/** "Missing or invalid token". The document names no media type, so it may have no body. */
export class Unauthorized extends Refusal {
  readonly status = 401;
  readonly code = '401';
  readonly headers = { 'www-authenticate': 'Bearer error="invalid_token"' };

  constructor(readonly withBody: boolean) {
    super('Missing or invalid token');
    this.name = 'Unauthorized';
  }

  body(): object | undefined {
    return this.withBody ? { error: { domain: 'Files', code: 401, message: this.message } } : undefined;
  }
}

/** RFC 6749 section 5.2. */
export class OAuthError extends Refusal {
  constructor(
    readonly code: string,
    message: string,
    readonly status = 400,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
    this.name = 'OAuthError';
  }

  body(): object {
    return { error: this.code, error_description: this.message };
  }
}

export const adminOnly = () =>
  new ApiError(403, 3, 'You do not have the appropriate permissions, so the previous request could not be completed.');
export const noPermission = () =>
  new ApiError(403, 3, 'The requested file or folder does not exist or you do not have permission to access it.');
export const notFound = () => new ApiError(404, 10, 'Object Not Found.');
/** "Validation failed". `why` appears in the log. */
export const invalid = (why: string) => new ApiError(400, 15, 'Object Invalid', { reason: why });
export const notReceived = () =>
  new ApiError(400, 9, 'The file could not be uploaded because not all the data was received.');
export const nameConflict = (name: string, conflict: object) =>
  new ApiError(409, 92, `'${name}' already exists in this location.`, { conflict });
/** The document does not say how a full account answers. */
export const quotaExceeded = () => new ApiError(403, 3, 'You do not have enough free space to upload this file.');
export const badMethod = (status: number) => new ApiError(status, status === 403 ? 3 : 10, 'Method Not Allowed.');
/** Errors of plain HTTP, which the document does not mention. */
export const badRange = (size: number) =>
  new ApiError(416, 15, 'Requested Range Not Satisfiable.', undefined, { 'content-range': `bytes */${size}` });
export const internal = (why: string) => new ApiError(500, 1, `Internal error: ${why}`);
