/** What every sandbox can be told, whatever its protocol. */
import type { FaultRule } from './faults.js';

export type FourSharedName = '4shared' | '4sync';
export type ProviderName = FourSharedName | '5sync' | 'acronis';
export const providerNames: readonly ProviderName[] = ['4shared', '4sync', '5sync', 'acronis'];

/** How near and how fast the server is; may be changed while it runs. */
export interface Speed {
  /** Waited before every request is handled: the round trip of a distant server. */
  latencyMs: number;
  /** Bytes per second and connection, each direction; 0 is unlimited. */
  bandwidth: number;
}

export interface CommonOptions {
  /** The api port; further hosts take the ports after it. 0 or absent: any free ones. */
  port?: number;
  host?: string;
  /** Keeps the account here, so that it survives a restart. Otherwise it lives as long as the process. */
  dir?: string;
  faults?: FaultRule[];
  /** The server's clock in milliseconds, for tests that move time. */
  now?: () => number;
}

/** Copies those settings that are given and that there are onto `target`. */
export function applyKnown<T extends object>(target: T, given: Partial<T>): T {
  const known = (Object.keys(target) as (keyof T)[]).filter((key) => given[key] !== undefined);
  for (const key of known) target[key] = given[key] as T[keyof T];
  return target;
}
