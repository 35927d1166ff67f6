/** The services of the kill test: the settings of their sandboxes, and the abilities of their mounts. */
import type { AnySandboxOptions, ProviderName } from '../../src/sandbox/index.js';

/** What the provider's mounts can do. */
export interface Abilities {
  readonly moveDirectories: boolean;
  /** A rename is a copy and a removal: a crash in between leaves the file under both names. */
  readonly renameCopies: boolean;
}

export const abilitiesOf: Readonly<Record<ProviderName, Abilities>> = {
  '4shared': { moveDirectories: true, renameCopies: false },
  '4sync': { moveDirectories: true, renameCopies: false },
  '5sync': { moveDirectories: false, renameCopies: true },
  acronis: { moveDirectories: true, renameCopies: false },
};

export function sandboxOptions(provider: ProviderName, random: () => number): AnySandboxOptions {
  const latencyMs = [0, 3, 20][Math.floor(random() * 3)] ?? 0;
  if (provider === '5sync') return { provider, latencyMs, requestsPerHour: 0 };
  if (provider === 'acronis') return { provider, latencyMs };
  // Low enough that the larger files go in chunks and take their names afterwards.
  return { provider, latencyMs, simpleUploadLimit: 150_000 };
}

/** What the service does not know (links) is in the account, too. */
export const carried = ['--metadata', 'account'] as const;
