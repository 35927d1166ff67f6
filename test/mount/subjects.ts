/**
 * What the semantics of a mount are tested on: every service over the kernel binding, and one over the native binding
 * too. What a service or a binding cannot do is a skip that says why in its name.
 */
import { it } from 'vitest';
import {
  type AnySandboxOptions,
  type FaultRule,
  type LogEntry,
  type ProviderName,
  providerNames,
} from '../../src/sandbox/index.js';
import { type BindingName, createServiceWorld, type World } from './world.js';

export interface Subject {
  readonly provider: ProviderName;
  readonly binding: BindingName;
}

/** For what the way to the kernel has no part in. */
export const overKernel: readonly Subject[] = providerNames.map((provider) => ({ provider, binding: 'kernel' }));

/** For `describe.each`: titles have `$provider` and `$binding`. */
export const subjects: readonly Subject[] = [...overKernel, { provider: '4shared', binding: 'native' }];

/** What tests have to know of a service. */
export interface Traits {
  /** A directory can be renamed. */
  readonly movesFolders: boolean;
  /** There are directories without a file in them at the service. */
  readonly keepsFolders: boolean;
  /** Refusals of content: status, the service's code, and what close(2) answers. The first one is of an account that is full. */
  readonly refusals: readonly (readonly [status: number, code: string | undefined, errno: string])[];
  /** The reading of its sandbox under which a `Range` header is not heeded. */
  readonly ignoringRanges: Readonly<Record<string, string>>;
  /** The route that stores a small file under a new name. */
  readonly storing: string;
  /** Every request that brings content. */
  readonly bringing: Pick<FaultRule, 'host' | 'route'>;
}

const fourShared: Traits = {
  movesFolders: true,
  keepsFolders: true,
  refusals: [
    [403, '403.0100', 'ENOSPC'],
    [403, '403.0101', 'EFBIG'],
    [403, '403.0102', 'EDQUOT'],
    [403, '403.0302', 'EACCES'],
    [403, '403.0303', 'EACCES'],
    [401, '401.0301', 'EACCES'],
    [500, '500.0600', 'EIO'],
  ],
  ignoringRanges: { rangeAnswer: 'ignored' },
  storing: 'POST /files',
  bringing: { host: 'upload' },
};

export const traits: Readonly<Record<ProviderName, Traits>> = {
  '4shared': fourShared,
  '4sync': fourShared,
  '5sync': {
    movesFolders: false,
    keepsFolders: false,
    refusals: [
      [507, undefined, 'ENOSPC'],
      [403, 'forbidden', 'EACCES'],
      [413, undefined, 'EFBIG'],
      [401, 'unauthorized', 'EACCES'],
      [500, 'internal_error', 'EIO'],
    ],
    ignoringRanges: { range: 'ignored' },
    storing: 'PUT /files',
    bringing: { route: '^PUT /files$' },
  },
  acronis: {
    movesFolders: true,
    keepsFolders: true,
    refusals: [
      [507, undefined, 'ENOSPC'],
      [403, '3', 'EACCES'],
      [413, undefined, 'EFBIG'],
      [401, undefined, 'EACCES'],
      [500, undefined, 'EIO'],
    ],
    ignoringRanges: { range: 'ignored' },
    storing: 'POST /sync_and_share_nodes/{node_uuid}/upload',
    bringing: { route: '/upload$' },
  },
};

export function openWorld({ provider, binding }: Subject, options: object = {}): Promise<World> {
  return createServiceWorld({ provider, ...options } as AnySandboxOptions, false, binding);
}

/** `it`, or a skip whose name says why. */
export function unless(isSkipped: boolean, reason: string) {
  return (name: string, test: () => Promise<void>, timeout?: number): void => {
    if (isSkipped) it.skip(`${name} (skipped: ${reason})`, test);
    else it(name, test, timeout);
  };
}

/** Requests for content, on whichever service. */
export function isDownload({ route }: LogEntry): boolean {
  return /^GET .*\bdownload$/.test(route);
}
