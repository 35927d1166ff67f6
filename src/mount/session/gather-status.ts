import { version } from '../../base/installation.js';
import type { MountOptions } from '../../config/options.js';
import type { LiveOptions } from '../control/live-options.js';
import type { MountStatus, UploadStatus } from '../control/status.js';
import type { OpenAccount } from './open-account.js';
import type { RenewingProvider } from './renewing-provider.js';

/** The parts of a mount that know its state. */
export interface StatusSources {
  readonly mount: Pick<MountStatus, 'mountpoint' | 'account' | 'provider' | 'binding'>;
  readonly options: Pick<MountOptions, 'writeBack' | 'readOnly'>;
  readonly provider: RenewingProvider;
  readonly opened: OpenAccount;
  readonly live: LiveOptions;
  /** The login command that replaces refused credentials. */
  readonly login: string;
}

/** The status of the mount that this process serves. */
export async function gatherStatus(sources: StatusSources): Promise<MountStatus> {
  const { mount, options, provider, opened, live, login } = sources;
  const { filesystem, cache } = opened;
  const uploads: readonly UploadStatus[] = await filesystem.uploader.pending(filesystem.root);
  const { total, byRoute, rateLimit, outage } = provider.metrics();
  const excluded = uploads.filter(({ state }) => state === 'excluded');
  const quota = filesystem.quota();
  const limits = live.status();
  const kept = opened.keptVersions();
  const metadata = opened.metadata();
  const pins = filesystem.pins.status();
  return {
    ...mount,
    pid: process.pid,
    version,
    writeBack: options.writeBack,
    readOnly: options.readOnly,
    ...(filesystem.uploader.isPaused && { paused: true as const }),
    pending: uploads.filter(isPending),
    failed: uploads.filter(({ state }) => state === 'failed'),
    ...(excluded.length > 0 && { excluded }),
    ...(Object.keys(limits).length > 0 && { limits }),
    downloads: filesystem.inspection.downloads(),
    transferred: filesystem.inspection.transferred(),
    cache: cache.stats(),
    ...(pins === null ? {} : { pins }),
    requests: { total, byRoute },
    ...(outage === null ? {} : { outage }),
    ...(rateLimit === null ? {} : { rateLimit }),
    ...(quota === null ? {} : { quota }),
    ...(kept.length === 0 ? {} : { kept }),
    ...(metadata === null ? {} : { metadata }),
    ...(provider.isRefused ? { login } : {}),
  };
}

/** Whether the content will be stored: it has neither failed nor is it excluded. */
export function isPending({ state }: UploadStatus): boolean {
  return state !== 'failed' && state !== 'excluded';
}
