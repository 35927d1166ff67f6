/**
 * Local servers that speak the providers' protocols strictly, each written from its provider's documents alone.
 * A server refuses what its documents forbid, with their error codes. Where the documents leave something open, an option
 * (a "reading") chooses between the possible behaviours.
 */
import { type AcronisOptions, acronisReadings } from './acronis/options.js';
import { type AcronisSandbox, startAcronis } from './acronis/start.js';
import { type FiveSyncOptions, fiveSyncReadings } from './fivesync/options.js';
import { type FiveSyncSandbox, startFiveSync } from './fivesync/start.js';
import { defaultReadings, type SandboxOptions } from './fourshared/options.js';
import { type Sandbox, startFourShared } from './fourshared/start.js';
import type { ProviderName } from './options.js';

export type { Permission } from './acronis/nodes.js';
export {
  type AcronisCredentials,
  type AcronisOptions,
  type AcronisReadings,
  type AcronisSettings,
  acronisReadings,
} from './acronis/options.js';
export type { AcronisSandbox } from './acronis/start.js';
export type { AcronisStore, NodeFlags } from './acronis/store.js';
export type { AcronisTokens, Granted } from './acronis/tokens.js';
export { type FaultAction, FaultPlan, type FaultRule } from './faults.js';
export type { ApiKeys, RollingLimit } from './fivesync/keys.js';
export {
  type FiveSyncCredentials,
  type FiveSyncOptions,
  type FiveSyncReadings,
  type FiveSyncSettings,
  fiveSyncPlans,
  fiveSyncReadings,
} from './fivesync/options.js';
export type { FiveSyncSandbox } from './fivesync/start.js';
export type { FiveSyncStore } from './fivesync/store.js';
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
export type { HostName } from './hosts.js';
export { type LogEntry, type LogFilter, type LogTotals, RequestLog } from './log.js';
export { type FourSharedName, type ProviderName, providerNames, type Tls } from './options.js';
export { type Content, type Entry, PathStore } from './store.js';

export type AnySandbox = Sandbox | FiveSyncSandbox | AcronisSandbox;
export type AnySandboxOptions = SandboxOptions | FiveSyncOptions | AcronisOptions;

/** The default readings of each protocol. */
export const readingsOf: Readonly<Record<ProviderName, object>> = {
  '4shared': defaultReadings,
  '4sync': defaultReadings,
  '5sync': fiveSyncReadings,
  acronis: acronisReadings,
};

export function startSandbox(options: FiveSyncOptions): Promise<FiveSyncSandbox>;
export function startSandbox(options: AcronisOptions): Promise<AcronisSandbox>;
export function startSandbox(options?: SandboxOptions): Promise<Sandbox>;
export function startSandbox(options?: AnySandboxOptions): Promise<AnySandbox>;
export async function startSandbox(options: AnySandboxOptions = {}): Promise<AnySandbox> {
  if (options.provider === '5sync') return startFiveSync(options);
  if (options.provider === 'acronis') return startAcronis(options);
  return startFourShared(options);
}
