/** Links of nodes. The document has requests to create and change them, but none to list or end them. */
import { z } from 'zod';
import { ProviderError } from '../errors.js';
import { timeIn, timeSchema } from '../http/answers/times.js';
import type { CallOptions } from '../http/client/call.js';
import type { LinkRequest, RemoteEntry, RemoteLink } from '../provider.js';
import type { AcronisApi } from './api.js';

const linkSchema = z.object({
  download_url: z.string(),
  expired_at: timeSchema,
  access_restriction: z.string().nullish(),
});

export async function link(
  api: AcronisApi,
  { id }: RemoteEntry,
  { act, password, days }: LinkRequest,
  options: CallOptions,
): Promise<RemoteLink> {
  if (password !== undefined) throw unsupported('links have no passwords here: --expires limits them');
  if (act === 'show') throw unsupported('the document lists no links: see the website');
  if (act === 'remove') throw unsupported('the document ends no links: make them with --expires, or see the website');
  const wish = { access_restriction: 'public', single_use: false, ...(days === undefined ? {} : { ttl: days }) };
  const call = api.call('POST', '/sync_and_share_nodes/{uuid}/links', id, { json: { link: wish } });
  const made = await api.json(call, linkSchema, options);
  const expires = timeIn(made.expired_at);
  const isPublic = made.access_restriction === 'public';
  return { url: made.download_url, isPublic, ...(expires === undefined ? {} : { expires }) };
}

function unsupported(message: string): ProviderError {
  return new ProviderError('unsupported', message, { data: {} });
}
