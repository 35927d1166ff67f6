/** What a signer sees of a request. */
export interface SignedParts {
  readonly method: string;
  /** Absolute, with its query. */
  readonly url: string;
  /** The fields of a form body, which OAuth 1.0a signs; absent for any other body. */
  readonly form?: Readonly<Record<string, string>>;
}

/** Puts a request's credentials into its Authorization header. Asked anew for every try. */
export interface Signer {
  authorization(request: SignedParts): string;
  /** The server refused our time of day; `serverNow` is its own, ms since the epoch. */
  adjustTime?(serverNow: number): void;
  /** Awaited before each try: the moment to renew a credential that is about to expire. */
  prepare?(signal?: AbortSignal): Promise<void>;
  /** The server refused this Authorization header with 401. True: there is another one now, worth one more try. */
  renew?(refused: string, signal?: AbortSignal): Promise<boolean>;
}
