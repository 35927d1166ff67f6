/**
 * Local servers that speak the providers' protocols strictly, each written from its provider's documents alone.
 * What they forbid it refuses with their error codes; what they leave open is a reading that can be switched.
 */
import type { SandboxOptions } from './fourshared/options.js';
import { type Sandbox, startFourShared } from './fourshared/start.js';

export { type FaultAction, FaultPlan, type FaultRule } from './faults.js';
export type { ErrorBody } from './fourshared/errors.js';
export type { Tokens } from './fourshared/oauth/flow.js';
export {
  defaultReadings,
  type RateLimit,
  type Readings,
  type SandboxCredentials,
  type SandboxOptions,
  type Settings,
} from './fourshared/options.js';
export type { Sandbox } from './fourshared/start.js';
export type { FolderFlags, SandboxStore } from './fourshared/store.js';
export { type LogEntry, type LogFilter, type LogTotals, RequestLog } from './log.js';
export { type FourSharedName, type HostName, type ProviderName, providerNames } from './options.js';
export { type Content, type Entry, PathStore } from './store.js';

export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  return startFourShared(options);
}
