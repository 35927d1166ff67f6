/** An error answer of the server. Each protocol gives it its documented body. */
export abstract class Refusal extends Error {
  /** The protocol's error code, for the log. */
  abstract readonly code: string;
  abstract readonly status: number;
  abstract readonly headers: Record<string, string>;

  /** Sent as JSON. Undefined: the answer has no body. */
  abstract body(): object | undefined;
}
