/** What a server answers instead of doing what was asked; each protocol gives it its documented body. */
export abstract class Refusal extends Error {
  /** For the log: the protocol's own word for it. */
  abstract readonly code: string;
  abstract readonly status: number;
  abstract readonly headers: Record<string, string>;

  /** As JSON; undefined where the answer has no body. */
  abstract body(): object | undefined;
}
