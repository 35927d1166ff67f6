/** The options of every sandbox, whatever its protocol. */
import type { FaultRule } from './faults.js';

export type FourSharedName = '4shared' | '4sync';
export type ProviderName = FourSharedName | '5sync' | 'acronis';
export const providerNames: readonly ProviderName[] = ['4shared', '4sync', '5sync', 'acronis'];

/** The server's latency and speed. They may be changed while it runs. */
export interface Speed {
  /** Wait before each request is handled, ms: the round trip to a distant server. */
  latencyMs: number;
  /** Bytes per second and connection, each direction; 0 is unlimited. */
  bandwidth: number;
}

export interface Tls {
  readonly cert: string;
  readonly key: string;
}

export interface CommonOptions {
  /** The api port. Further hosts use the ports after it. 0 or absent: any free ports. */
  port?: number;
  host?: string;
  /** Directory for the account, which then survives a restart. Without it the account lives as long as the process. */
  dir?: string;
  faults?: FaultRule[];
  /** Speak TLS, with this certificate and its private key, both PEM. Otherwise plain HTTP. */
  tls?: Tls;
  /** The server's clock in milliseconds, for tests that move time. */
  now?: () => number;
}

/** Copies the given settings onto `target`, except unknown ones. */
export function applyKnown<T extends object>(target: T, given: Partial<T>): T {
  const known = (Object.keys(target) as (keyof T)[]).filter((key) => given[key] !== undefined);
  for (const key of known) target[key] = given[key] as T[keyof T];
  return target;
}
