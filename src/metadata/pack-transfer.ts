/** Downloads or uploads one file of the store. The files are small: each takes one request. */
import { createHash } from 'node:crypto';
import { ProviderError } from '../providers/errors.js';
import type { Priority, Provider, RemoteFile, UploadTarget } from '../providers/provider.js';

export interface TransferOptions {
  readonly priority: Priority;
  readonly signal?: AbortSignal | undefined;
}

export interface ReadFile {
  readonly bytes: Uint8Array;
  /** Another content may still get the same revision (`RangeBody.isYoung`). */
  readonly isYoung: boolean;
}

/** Throws the provider's error. */
export async function readWhole(provider: Provider, file: RemoteFile, options: TransferOptions): Promise<ReadFile> {
  if (file.size === 0) return { bytes: new Uint8Array(), isYoung: false };
  const { offset, body, isYoung } = await provider.read(
    file,
    { offset: 0, length: file.size },
    { ...options, isVerified: true },
  );
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(Uint8Array.from(chunk));
  const bytes = Buffer.concat(chunks);
  if (offset !== 0 || bytes.length !== file.size)
    throw new ProviderError('integrity', 'the service sent a part of it', { data: {} });
  return { bytes, isYoung: isYoung === true };
}

export function md5Of(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

/** Throws the provider's error. */
export function storeWhole(
  provider: Provider,
  target: UploadTarget,
  bytes: Uint8Array,
  options: TransferOptions,
): Promise<RemoteFile> {
  const source = {
    size: bytes.length,
    async *read(offset: number, length: number) {
      yield bytes.subarray(offset, offset + length);
    },
    md5: () => Promise.resolve(md5Of(bytes)),
  };
  return provider.upload(target, source, options);
}
