/** The interface between the HTTP client and the ways to authenticate. */

/** The parts of a request that a signer may use. */
export interface SignedParts {
  readonly method: string;
  /** Absolute, with its query. */
  readonly url: string;
  /** The fields of a form body, which OAuth 1.0a signs; absent for any other body. */
  readonly form?: Readonly<Record<string, string>>;
}

/** Makes the Authorization header of a request. The client calls it for every try. */
export interface Signer {
  authorization(request: SignedParts): string;
  /** The server refused our timestamp; `serverNow` is its own time, ms since the epoch. */
  adjustTime?(serverNow: number): void;
  /** The client awaits this before each try. Here a signer can renew a credential that is about to expire. */
  prepare?(signal?: AbortSignal): Promise<void>;
  /** The server refused this Authorization header with 401. True if the signer has a new one, so that another try makes sense. */
  renew?(refused: string, signal?: AbortSignal): Promise<boolean>;
}
