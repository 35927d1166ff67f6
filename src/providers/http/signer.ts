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
}
